# What the machine needs: system packages (apt) and LibTorch (the torch wheel in .venv). Installs only what is missing.

torch_version=2.13.0
packages=(g++ cmake ninja-build pkg-config ccache mold python3-venv libcli11-dev libtomlplusplus-dev nlohmann-json3-dev
  libfmt-dev libcurl4-openssl-dev libssl-dev libnlopt-dev libjs-d3 libpng-dev zlib1g-dev libjpeg-dev libwebp-dev libfreetype-dev libharfbuzz-dev libpugixml-dev fonts-noto-color-emoji unicode-data libboost1.81-dev
  unicode-cldr-core libpcre2-dev libutf8proc-dev libsentencepiece-dev libyaml-dev libgif-dev libhwy-dev libsqlite3-dev
  libavformat-dev libavcodec-dev libswscale-dev libavutil-dev libgtest-dev libgmock-dev libbenchmark-dev)

installed() { [ "$(dpkg-query -W -f='${db:Status-Status}' "$1" 2>/dev/null)" = installed ]; }

# need_packages NAME...: installs those that are missing.
need_packages() {
  command -v dpkg-query >/dev/null || return 0  # not a Debian: CMake will name what it misses
  local missing=() name
  for name in "$@"; do installed "$name" || missing+=("$name"); done
  [ ${#missing[@]} -gt 0 ] || return 0
  local root=()
  if [ "$(id -u)" -ne 0 ]; then
    command -v sudo >/dev/null || fail "missing packages, and neither root nor sudo; ask for: apt-get install ${missing[*]}"
    root=(sudo)
    if ! [ -t 0 ]; then root+=(-n); fi
  fi
  step "apt-get update" "${root[@]}" apt-get update
  step "install ${#missing[@]} system packages (${missing[*]})" \
    "${root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "${missing[@]}"
}

have_libtorch() {
  local prefix
  IFS=: read -ra prefixes <<<"${CMAKE_PREFIX_PATH:-}"
  for prefix in "${prefixes[@]}"; do
    [ -f "$prefix/share/cmake/Torch/TorchConfig.cmake" ] && return 0
  done
  grep -qs "^__version__ = '$torch_version" .venv/lib/python3*/site-packages/torch/version.py
}

# A python that can make environments; the system's own first, since others may lack ensurepip.
find_python() {
  local python
  for python in /usr/bin/python3 python3; do
    "$python" -c 'import ensurepip, sys; sys.exit(sys.version_info < (3, 10))' 2>/dev/null && echo "$python" && return
  done
  fail "no python3 >= 3.10 with venv; install python3-venv"
}

# LibTorch's CUDA build cannot be configured without the CUDA toolkit: say so before downloading gigabytes.
refuse_cuda_without_toolkit() {
  if command -v nvcc >/dev/null; then return; fi
  if [ -x "${CUDA_HOME:-/usr/local/cuda}/bin/nvcc" ]; then return; fi
  grep -qE 'Would install.* (nvidia|cuda)-' "$1" || return 0
  fail "pip would bring torch's CUDA build, which needs the CUDA toolkit to build against. Set TESSERA_TORCH_INDEX to PyTorch's
CPU package index (its 'Get Started' page, choice 'CPU', shows it as --index-url) and run ./dev again, or set CMAKE_PREFIX_PATH to a LibTorch."
}

setup() {
  need_packages "${packages[@]}"
  if have_libtorch; then return; fi
  local index=()
  if [ -n "${TESSERA_TORCH_INDEX:-}" ]; then index=(--index-url "$TESSERA_TORCH_INDEX"); fi
  local pip=(.venv/bin/python -m pip --disable-pip-version-check)
  if ! [ -x .venv/bin/python ]; then
    local python
    python=$(find_python) || exit
    step "make .venv" "$python" -m venv .venv
  fi
  step "look up torch $torch_version" "${pip[@]}" install --dry-run "${index[@]}" "torch==$torch_version"
  refuse_cuda_without_toolkit build/logs/look-up-torch-*.log
  step "install torch $torch_version into .venv" "${pip[@]}" install "${index[@]}" "torch==$torch_version"
}
