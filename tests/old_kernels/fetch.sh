#!/bin/sh
# Gets the kernel of a Debian release, without installing anything: fetch.sh SUITE DIRECTORY
#
# The packages come through an apt of their own below DIRECTORY, which ends up with `vmlinuz` in it.

set -e
suite=$1
mkdir -p "$2"
cd "$2"
[ -e vmlinuz ] && exit

mkdir -p apt/etc apt/lists/partial apt/cache/archives/partial unpacked
signed='[signed-by=/usr/share/keyrings/debian-archive-keyring.gpg]'
cat >apt/etc/sources.list <<END
deb $signed http://deb.debian.org/debian $suite main
deb $signed http://deb.debian.org/debian-security $suite-security main
END
options="-q -o Dir::Etc::SourceList=$PWD/apt/etc/sources.list -o Dir::Etc::SourceParts=/dev/null
	-o Dir::State::Lists=$PWD/apt/lists -o Dir::Cache=$PWD/apt/cache -o APT::Sandbox::User=root"

# The package that is always up to date depends on the one with the kernel.
apt-get $options update
package=$(apt-cache $options depends linux-image-cloud-amd64 | sed -n 's/.*Depends: \(linux-image-.*\)/\1/p')
apt-get $options download "$package"
dpkg-deb --fsys-tarfile "$package"_*.deb | tar -x -C unpacked ./boot
mv unpacked/boot/vmlinuz-* vmlinuz
rm -r apt unpacked "$package"_*.deb
