# run COMMAND...: a step of continuous integration. The last lines of a run say which steps ran, how long each took and
# which one failed.
ran=() now=''

run() {
  local began=$SECONDS
  now=$*
  "$@"
  ran+=("$(printf '%5d s  %s' $((SECONDS - began)) "$now")")
  now=''
}

say_what_ran() {
  printf '\nwhat ran, %d s in all:\n' "$SECONDS"
  if [ ${#ran[@]} -gt 0 ]; then printf '%s\n' "${ran[@]}"; fi
  if [ -n "$now" ]; then printf '%7s  %s\n' failed "$now"; fi
}
trap say_what_ran EXIT
