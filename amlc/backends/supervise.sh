# Runs one local job and writes down how it ended, whatever becomes of the process that started it.
# Arguments: the shell for the job, the job's command, its timeout in whole seconds (0: none).
# The current folder is the run folder. Standard output and error go to the job's log. Standard input is the lock that
# says that this job is alive: only this shell may hold it, so that the lock falls when the shell ends.

: > started # from here on it counts as run

(
    cd work || exit 127
    exec "$1" -c "$2"
) < /dev/null &
job=$!
trap 'stopping=1' TERM # live through the signal, to write down how the job ended
echo $$ > supervisor   # whom to signal, now that the job cannot miss it

if [ "$3" -gt 0 ]; then
    # The timeout holds even if nobody watches. The signals go to the whole process group, this shell included.
    (
        trap 'kill "$sleeper"; exit' TERM
        sleep "$3" &
        sleeper=$!
        wait "$sleeper"
        trap '' TERM
        : > timed_out
        kill -s TERM -- -$$ # not `kill -TERM --`, which dash takes for wrong
        sleep 15
        kill -s KILL -- -$$
    ) < /dev/null > /dev/null 2>&1 &
    watchdog=$!
fi

wait "$job"
code=$?
while [ -n "$stopping" ] && kill -0 "$job" 2> /dev/null; do
    wait "$job"
    code=$?
done
[ -z "$watchdog" ] || kill -TERM "$watchdog" 2> /dev/null
[ ! -e timed_out ] || kill -KILL "$watchdog" 2> /dev/null

echo "$code" > exit_code.tmp && mv exit_code.tmp exit_code

# What the job left behind in process groups of its own is ended by who started it or, if that is gone, here.
if ! kill -0 "$PPID" 2> /dev/null; then
    for stat in /proc/[0-9]*/stat; do
        pid=${stat#/proc/} pid=${pid%/stat}
        read -r line 2> /dev/null < "$stat" || continue
        set -- ${line##*) } # state, parent, process group, session
        [ "$4" != $$ ] || [ "$pid" = $$ ] || kill -s KILL "$pid" 2> /dev/null
    done
fi
