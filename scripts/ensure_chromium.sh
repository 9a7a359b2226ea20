#!/usr/bin/env bash
# Make sure that the browser tests find a Chrome or Chromium: an installed one, else Debian's.
set -euo pipefail

found() {
  [ -n "${CHROME_PATH:-}" ] && [ -x "$CHROME_PATH" ] && return 0
  local name
  for name in chromium chromium-browser google-chrome google-chrome-stable chrome; do
    command -v "$name" >/dev/null 2>&1 && return 0
  done
  return 1
}

found && exit 0

as_root=()
if [ "$(id -u)" -ne 0 ]; then
  sudo -n true 2>/dev/null && as_root=(sudo -n)
fi
if command -v apt-get >/dev/null 2>&1 && { [ "$(id -u)" -eq 0 ] || [ "${#as_root[@]}" -gt 0 ]; }; then
  echo "No Chrome or Chromium here: installing the package chromium."
  "${as_root[@]}" apt-get update -qq &&
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium >/dev/null || true
  found && exit 0
fi
cat >&2 <<'END'
The browser tests need Chrome or Chromium, and none was found.
Install one (Debian: sudo apt-get install chromium) or set CHROME_PATH to its binary.
END
exit 1
