# Ends what a job left behind in process groups and sessions of its own: all processes of this session, and all that have
# the job's mark in their environment, but this shell. grep shall not be marked, so that it does not find itself.
# All stand still before one is killed: none may see another's end, go on and call its trial a success.

mark=$_AMLC_RUN
unset _AMLC_RUN
pids=
for stat in /proc/[0-9]*/stat; do
    pid=${stat#/proc/} pid=${pid%/stat}
    read -r line 2> /dev/null < "$stat" || continue
    set -- ${line##*) } # state, parent, process group, session
    [ "$4" != $$ ] || [ "$pid" = $$ ] || pids="$pids $pid"
done
marked=
[ -z "$mark" ] || marked=$(grep -l -s -F -e "$mark" /proc/[0-9]*/environ)
for stat in $marked; do
    pid=${stat#/proc/} pid=${pid%/environ}
    [ "$pid" = $$ ] || pids="$pids $pid"
done
for signal in STOP KILL; do
    [ -z "$pids" ] || kill -s $signal $pids 2> /dev/null
done
