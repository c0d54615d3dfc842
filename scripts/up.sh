#!/usr/bin/env bash
# Sets up, starts the daemon in the background, makes it a docker context, seeds a first image. Running it again is fine.
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
cd "$root_dir"

bash scripts/setup.sh
[ "$(id -u)" = 0 ] || die 'the daemon needs root for now: run `npm run up` as root'

if daemon_answers; then
  say "already running on unix://$socket"
else
  if pid=$(daemon_pid); then die "a daemon (pid $pid) is there but does not answer on $socket; see $log_file, or npm run down"; fi
  mkdir -p "$run_dir" "$data_root"
  # the web page: its usual port, or any where that is taken
  web=()
  case " ${CAISSON_ARGS:-} " in
  *' --web'*) ;;
  *)
    web=(--web "127.0.0.1:$web_port")
    if (exec 3<>"/dev/tcp/127.0.0.1/$web_port") 2>/dev/null; then web=(--web 127.0.0.1:0); fi
    ;;
  esac
  # a session of its own: it outlives this terminal
  setsid --fork bash -c 'echo $$ >"$1"; shift; exec "$@"' - "$pid_file" \
    node "$root_dir/dist/main.js" daemon --data-root "$data_root" --run-dir "$run_dir" --host "unix://$socket" \
    "${web[@]}" ${CAISSON_ARGS:-} </dev/null >>"$log_file" 2>&1
  for _ in $(seq 300); do
    if daemon_answers; then break; fi
    sleep 0.2
    daemon_pid >/dev/null || { tail -n 15 "$log_file" >&2; die "the daemon ended; its log is $log_file"; }
  done
  daemon_answers || die "no answer on $socket after a minute; the log is $log_file"
  say "listening on unix://$socket, log in $log_file"
fi

if ! docker context inspect caisson >/dev/null 2>&1; then
  docker context create caisson --description 'a virtual machine for every container' \
    --docker "host=unix://$socket" >/dev/null
fi

# the command, unless another one is there
if [ ! -e "$command_link" ] && [ ! -L "$command_link" ]; then ln -s "$root_dir/bin/caisson" "$command_link"; fi
case $(readlink -f "$command_link") in
  "$root_dir/bin/caisson") ;;
  *) say "$command_link is something else: the command is $root_dir/bin/caisson" ;;
esac

docker=(docker --host "unix://$socket")
if ! "${docker[@]}" image inspect caisson/hello >/dev/null 2>&1; then
  bash scripts/hello-image.sh build/hello.tar
  "${docker[@]}" load --quiet --input build/hello.tar >/dev/null
  # also makes the template, which the user's first container would else wait for
  "${docker[@]}" run --rm caisson/hello >build/hello.log 2>&1 ||
    { tail -n 5 build/hello.log >&2; die "the first container does not run: see bin/caisson doctor and $log_file"; }
fi

# The address has a token, which is good for one browser: this run of ours is told the one that is good now.
web_page() {
  [ -s "$run_dir/web-url" ] || return 0
  printf 'To look at it, in a browser on this machine (the address is good once):\n  %s\n ' "$(cat "$run_dir/web-url")"
}

cat <<TEXT

Try:
  docker --context caisson run --rm caisson/hello
  docker --context caisson run -it --rm caisson/hello sh
  docker --context caisson ps -a

  caisson ls

$(web_page)
Stop the daemon with \`npm run down\`; what is wrong with this machine, if anything, says \`caisson doctor\`.
TEXT
