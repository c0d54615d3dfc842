# shellcheck shell=bash
# listing ROOT: names, kinds, modes, owners, sizes, links of a tree; not what dpkg, apt and systemd write down, nor copies that passwd's programs keep.
listing() {
  (cd "$1" && find . -xdev \( -path ./proc -o -path ./sys -o -path ./dev -o -path ./run -o -path ./tmp -o -path ./var/lib/dpkg -o -path ./var/lib/apt -o \
    -path './var/lib/systemd/[!d]*' -o -path ./var/cache -o -path ./var/log -o -path ./var/tmp -o -path ./root -o -path ./etc/ld.so.cache \) -prune -o \
    ! -path './etc/*-' ! -path ./var/lib -printf '%p %y %m %U:%G %s %l\n' | sed 's/^\(\S* d \S* \S*\) [0-9]*/\1/' | sort)
}
