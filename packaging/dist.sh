#!/bin/bash
# Writes the source, with the crates that the library needs, as an archive to build it from without a network:
# dist.sh ARCHIVE
#
# Cargo wants to see every crate that is named in Cargo.toml, and those of the tests, the models and the benchmarks are a
# hundred times as large as the library's own. So there Cargo.toml names the library's alone.

set -eu
archive=$(realpath -m "$1")
cd "$(dirname "$0")/.."
name=$(basename "${archive%.tar.xz}")
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT

git ls-files -z | tar c --null --files-from - | tar x --one-top-level="$tmp/$name"
cd "$tmp/$name"
cp Cargo.lock ../Cargo.lock
awk '/^\[/ { drop = /dev-dependencies|cfg\(ioq_|^\[\[/ } !drop' Cargo.toml >../Cargo.toml
mv ../Cargo.toml .
${CARGO:-cargo} fetch -q --locked --manifest-path "$OLDPWD/Cargo.toml"
${CARGO:-cargo} vendor -q --offline vendor
cat >>.cargo/config.toml <<-END

	[source.crates-io]
	replace-with = "vendor"

	[source.vendor]
	directory = "vendor"
END

# The versions are those that were tested.
grep -Fvxf ../Cargo.lock Cargo.lock && {
	echo "$0: Cargo.lock has something new" >&2
	exit 1
}

cd ..
date=$(sed -n 's/^date = "\(.*\)"/\1/p' "$name/Cargo.toml")
tar c --sort=name --mtime="$date" --owner=0 --group=0 --numeric-owner "$name" | xz >"$archive"
