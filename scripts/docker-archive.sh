# Makes small images without an engine. Sourced, not run.
# shellcheck shell=bash

# busybox_rootfs DIR: a root file system of Debian's busybox-static, every applet a link.
busybox_rootfs() {
  local rootfs=$1 applet busybox
  busybox=$(command -v busybox) || die 'busybox-static is missing: npm run setup'
  mkdir -p "$rootfs"/{bin,dev,etc,home,proc,root,sys,tmp,usr/bin,usr/sbin,var/spool,var/log}
  chmod 1777 "$rootfs/tmp"
  chmod 700 "$rootfs/root"
  cp --remove-destination "$busybox" "$rootfs/bin/busybox"
  for applet in $("$busybox" --list); do
    [ "$applet" = busybox ] || ln -s busybox "$rootfs/bin/$applet"
  done
  printf '%s\n' 'root:x:0:0:root:/root:/bin/sh' 'daemon:x:1:1:daemon:/usr/sbin:/bin/false' \
    'www-data:x:33:33:www-data:/var/www:/bin/false' 'user:x:1000:1000:user:/home:/bin/sh' \
    'nobody:x:65534:65534:nobody:/home:/bin/false' >"$rootfs/etc/passwd"
  printf '%s\n' 'root:x:0:' 'daemon:x:1:' 'www-data:x:33:' 'audio:x:29:user' 'users:x:100:user' \
    'user:x:1000:' 'nogroup:x:65534:' >"$rootfs/etc/group"
}

# docker_archive ROOTFS NAME:TAG OUT.tar CMD-AS-JSON [CONFIG-AS-JSON-MEMBERS]: one layer, as `docker save` writes it.
# The same tree gives the same bytes: times are fixed, owners are root.
docker_archive() {
  local rootfs=$1 name=$2 out=$3 cmd=$4 more=${5:-} dir diff_id config_id
  dir=$(mktemp -d)
  tar -C "$rootfs" --sort=name --owner=0 --group=0 --numeric-owner --mtime=@1704067200 -cf "$dir/layer.tar" .
  diff_id=$(sha256sum "$dir/layer.tar" | cut -d' ' -f1)
  printf '{"architecture":"amd64","os":"linux","created":"2024-01-01T00:00:00Z","config":{"Cmd":%s,"Env":["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"]%s},"history":[{"created":"2024-01-01T00:00:00Z","created_by":"%s"}],"rootfs":{"type":"layers","diff_ids":["sha256:%s"]}}' \
    "$cmd" "${more:+,$more}" "caisson docker-archive.sh" "$diff_id" >"$dir/config"
  config_id=$(sha256sum "$dir/config" | cut -d' ' -f1)
  mv "$dir/config" "$dir/$config_id.json"
  printf '[{"Config":"%s.json","RepoTags":["%s"],"Layers":["layer.tar"]}]' "$config_id" "$name" >"$dir/manifest.json"
  tar -C "$dir" --owner=0 --group=0 --mtime=@1704067200 -cf "$out" manifest.json "$config_id.json" layer.tar
  rm -rf "$dir"
}
