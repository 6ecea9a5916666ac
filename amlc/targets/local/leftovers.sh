# Ends what a job left behind in process groups and sessions of its own: all processes of this session, and all that have
# the job's mark in their environment, but this shell. grep shall not be marked, so that it does not find itself.

mark=$_AMLC_RUN
unset _AMLC_RUN
for stat in /proc/[0-9]*/stat; do
    pid=${stat#/proc/} pid=${pid%/stat}
    read -r line 2> /dev/null < "$stat" || continue
    set -- ${line##*) } # state, parent, process group, session
    [ "$4" != $$ ] || [ "$pid" = $$ ] || kill -s KILL "$pid" 2> /dev/null
done
[ -n "$mark" ] || exit 0
for stat in $(grep -l -s -F -e "$mark" /proc/[0-9]*/environ); do
    pid=${stat#/proc/} pid=${pid%/environ}
    [ "$pid" = $$ ] || kill -s KILL "$pid" 2> /dev/null
done
