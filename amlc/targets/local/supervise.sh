# Runs one local job and writes down how it ended, whatever becomes of the process that started it.
# Arguments: the shell for the job, the job's command, its timeout in whole seconds (0: none).
# The current folder is the run folder. Standard output and error go to the job's log. Standard input is the lock that
# says that this job is alive: only this shell may hold it, so that the lock falls when the shell ends.
#
# Whatever cannot be written (a full disk) may cost this job, never its result: nothing runs before its beginning is
# recorded (from `started` on it counts as run), and the runner's own record of an end is asked first. `true > file`,
# because a shell ends where `: > file` fails.

again() { # a command: it succeeds or, after a while, it does not
    tries=20
    until "$@" 2> /dev/null; do
        tries=$((tries - 1))
        [ "$tries" -gt 0 ] || return 1
        sleep 1
    done
}

write() { echo "$2" > "$1"; }

if ! again write supervisor.tmp "$$" || ! again write started "$$"; then
    echo "amlc: the job was not started: its run folder cannot be written"
    exit 1
fi

(
    cd work || exit 127
    exec "$1" -c "$2"
) < /dev/null &
job=$!
trap 'stopping=1' TERM # live through the signal, to write down how the job ended

if [ "$3" -gt 0 ]; then
    # The timeout holds even if nobody watches. The signals go to the whole process group, this shell included.
    (
        trap 'kill "$sleeper"; exit' TERM
        sleep "$3" &
        sleeper=$!
        wait "$sleeper"
        trap '' TERM
        true > timed_out
        kill -s TERM -- -$$ # not `kill -TERM --`, which dash takes for wrong
        sleep 15
        kill -s KILL -- -$$
    ) < /dev/null > /dev/null 2>&1 &
    watchdog=$!
fi

again mv -f supervisor.tmp supervisor # whom to signal, now that the job cannot miss it

wait "$job"
code=$?
while [ -n "$stopping" ] && kill -0 "$job" 2> /dev/null; do
    wait "$job"
    code=$?
done
[ -z "$watchdog" ] || kill -TERM "$watchdog" 2> /dev/null
[ ! -e timed_out ] || kill -KILL "$watchdog" 2> /dev/null

if again write exit_code.tmp "$code"; then
    sync exit_code.tmp 2> /dev/null # or a power cut could leave the name without the number
    again mv -f exit_code.tmp exit_code
fi

# Who started it ends what it left behind or, if that is gone, this shell does.
kill -0 "$PPID" 2> /dev/null || . "${0%/*}/leftovers.sh"
