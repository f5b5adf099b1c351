# How ./dev talks: one line per step with its time; what a step prints goes to build/logs and is shown when it fails.

if [ -t 1 ]; then bold=$'\e[1m' green=$'\e[32m' red=$'\e[31m' plain=$'\e[0m'; else bold='' green='' red='' plain=''; fi

say() { printf '%s\n' "${bold}$*${plain}"; }

fail() {
  printf '%s\n' "${red}./dev: $1${plain}" >&2
  exit "${2:-1}"
}

# step TITLE COMMAND...: runs quietly; on failure shows the end of its log and ends ./dev.
step() {
  local title=$1 began=$SECONDS log
  shift
  mkdir -p build/logs
  log=build/logs/$(printf '%s' "${title%% (*}" | tr -c 'a-zA-Z0-9\n' '-').log
  printf '%s' "$title ... "
  if "$@" >"$log" 2>&1 </dev/null; then
    printf '%s\n' "${green}done${plain} in $((SECONDS - began)) s"
  else
    local status=$?
    printf '%s\n' "${red}failed${plain} after $((SECONDS - began)) s; the end of $log:"
    tail -n 40 "$log" | sed 's/^/  /'
    exit $status
  fi
}

# Compile jobs: a LibTorch source file takes about 1.5 GB.
jobs_allowed() {
  local cores memory
  cores=$(nproc)
  memory=$(awk '/MemAvailable/ {print int($2 / 1500000)}' /proc/meminfo)
  if [ "$memory" -lt 1 ]; then memory=1; fi
  echo "${TESSERA_JOBS:-$((cores < memory ? cores : memory))}"
}
