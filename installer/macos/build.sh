#!/bin/bash
# Builds dist/Companion.app and dist/Companion-VERSION.dmg, on macOS only. It never ran there.
# Signing and notarising are not done: they need a Developer ID. The steps, between app and dmg:
#   codesign --deep --options runtime --timestamp --sign "Developer ID Application: NAME" dist/Companion.app
#   xcrun notarytool submit dist/Companion-VERSION.dmg --keychain-profile PROFILE --wait
#   xcrun stapler staple dist/Companion-VERSION.dmg
# The command line is Companion.app/Contents/MacOS/companion: link to it from a directory on PATH.
set -euo pipefail
cd "$(dirname "$0")/../.."

[ "$(uname -s)" = Darwin ] || { echo "this builds on macOS only" >&2; exit 1; }
iconset=build/companion.iconset
mkdir -p "$iconset"
for size in 16 32 128 256 512; do
  sips -s format png -z "$size" "$size" assets/icons/idle.ico --out "$iconset/icon_${size}x${size}.png" >/dev/null
done
iconutil --convert icns --output build/companion.icns "$iconset"
pyinstaller --noconfirm --distpath dist --workpath build/pyinstaller installer/macos/companion.spec
version=$(dist/Companion.app/Contents/MacOS/companion --version | cut -d' ' -f2)
hdiutil create -ov -volname Companion -srcfolder dist/Companion.app -format UDZO "dist/Companion-$version.dmg"
