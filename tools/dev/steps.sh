# How ./dev talks: one line per step with its time, long steps with a count; what a step prints goes to build/logs and
# is shown when it fails.

if [ -t 1 ]; then bold=$'\e[1m' green=$'\e[32m' red=$'\e[31m' plain=$'\e[0m'; else bold='' green='' red='' plain=''; fi

say() { printf '%s\n' "${bold}$*${plain}"; }

fail() {
  printf '%s\n' "${red}./dev: $1${plain}" >&2
  exit "${2:-1}"
}

# The file under build/logs for a step; what follows a bracket in its title is not part of the name.
log_of() {
  mkdir -p build/logs
  printf '%s' "build/logs/$(printf '%s' "${1%% (*}" | tr -c 'a-zA-Z0-9\n' '-').log"
}

# finish STATUS BEGAN LOG: ends a step's line; on failure shows the end of its log and ends ./dev.
finish() {
  if [ "$1" -eq 0 ]; then
    printf '%s\n' "${green}done${plain} in $((SECONDS - $2)) s"
    return
  fi
  printf '%s\n' "${red}failed${plain} after $((SECONDS - $2)) s; the end of $3:"
  tail -n 40 "$3" | sed 's/^/  /'
  exit "$1"
}

# step TITLE COMMAND...: runs quietly.
step() {
  local title=$1 began=$SECONDS status=0 log
  shift
  log=$(log_of "$title")
  printf '%s' "$title ... "
  "$@" >"$log" 2>&1 </dev/null || status=$?
  finish $status "$began" "$log"
}

# Copies Ninja's output and says how many of its steps are done: on a terminal in one line that is written over,
# elsewhere (a log, continuous integration) in a line every half minute.
show_count() {
  local title=$1 began=$SECONDS said=$SECONDS line
  while IFS= read -r line; do
    printf '%s\n' "$line"
    [[ $line =~ ^\[([0-9]+)/([0-9]+)\] ]] || continue
    if [ -t 2 ]; then
      printf '\r\e[K%s ... %d of %d ' "$title" "${BASH_REMATCH[1]}" "${BASH_REMATCH[2]}" >&2
    elif [ $((SECONDS - said)) -ge 30 ]; then
      printf '\n  %d of %d after %d s ... ' "${BASH_REMATCH[1]}" "${BASH_REMATCH[2]}" $((SECONDS - began)) >&2
      said=$SECONDS
    fi
  done
  if [ -t 2 ]; then printf '\r\e[K%s ... ' "$title" >&2; fi
}

# counted_step TITLE COMMAND...: a step whose command is Ninja or runs it.
counted_step() {
  local title=$1 began=$SECONDS status=0 log
  shift
  log=$(log_of "$title")
  printf '%s' "$title ... "
  { "$@" 2>&1 </dev/null | show_count "$title" 2>&3 >"$log"; } 3>&1 || status=$?
  finish $status "$began" "$log"
}

# Compile jobs: a LibTorch source file takes about 1.5 GB.
jobs_allowed() {
  local cores memory
  cores=$(nproc)
  memory=$(awk '/MemAvailable/ {print int($2 / 1500000)}' /proc/meminfo)
  if [ "$memory" -lt 1 ]; then memory=1; fi
  echo "${TESSERA_JOBS:-$((cores < memory ? cores : memory))}"
}
