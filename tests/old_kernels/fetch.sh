#!/bin/sh
# Gets the kernel of a Debian release, without installing anything: fetch.sh SUITE ARCHITECTURE DIRECTORY
#
# The packages come through an apt of their own below DIRECTORY, which ends up with `vmlinuz` in it.

set -e
suite=$1 architecture=$2
mkdir -p "$3"
cd "$3"
[ -e vmlinuz ] && exit

mkdir -p apt/etc apt/lists/partial apt/cache/archives/partial
signed='[signed-by=/usr/share/keyrings/debian-archive-keyring.gpg]'
echo "deb $signed http://deb.debian.org/debian $suite main" >apt/etc/sources.list
# What is not released yet has no updates of its own.
if [ "$suite" != sid ]; then
	echo "deb $signed http://deb.debian.org/debian-security $suite-security main" >>apt/etc/sources.list
fi
# A mirror may be some weeks old, which apt takes for an attack.
options="-q -o Acquire::Check-Valid-Until=false -o APT::Architecture=$architecture -o APT::Architectures=$architecture
	-o Dir::Etc::SourceList=$PWD/apt/etc/sources.list -o Dir::Etc::SourceParts=/dev/null
	-o Dir::State::Lists=$PWD/apt/lists -o Dir::Cache=$PWD/apt/cache -o APT::Sandbox::User=root"

# The package that is always up to date depends on the one with the kernel, or on one that depends on that.
depends() {
	apt-cache $options depends "$1" | sed -n "s/.*Depends: \($2-.*\)/\1/p"
}
apt-get $options update
package=$(depends "linux-image-cloud-$architecture" linux-image)
binary=$(depends "$package" linux-binary)
package=${binary:-$package}
apt-get $options download "$package"
dpkg-deb --fsys-tarfile "$package"_*.deb | tar -x -O --wildcards '*/vmlinuz*' >unpacked
mv unpacked vmlinuz
rm -r apt "$package"_*.deb
