// docker images, pull, tag, rmi, load, import, save, history: what an image is to the client.

import { mainCases, scriptCases } from '../harness/cases';

const registry = '127.0.0.1:5000';

/** Writes `in.tar`: a docker-archive of one small layer, named by the case. */
const smallArchive = `
  mkdir -p l && echo $c >l/file && tar --owner=0 --group=0 --mtime=@1700000000 -C l -cf layer.tar . && d=$(sha256sum layer.tar | cut -d' ' -f1)
  printf '{"architecture":"amd64","os":"linux","created":"2023-01-01T00:00:00Z","config":{"Cmd":["/x"]},"rootfs":{"type":"layers","diff_ids":["sha256:%s"]},"history":[{"created":"2023-01-01T00:00:00Z","created_by":"test"}]}' $d >config.json
  printf '[{"Config":"config.json","RepoTags":["%s:latest"],"Layers":["layer.tar"]}]' $c >manifest.json
  tar -cf in.tar manifest.json config.json layer.tar`;

scriptCases('images: pull', {
  'one that is there': {
    script: `
      docker pull ${registry}/busybox
      docker pull -q ${registry}/busybox:latest`,
    bothClis: true,
  },
  'a tag that is not there': `docker pull ${registry}/busybox:no-such-tag`,
  'a repository that is not there': `docker pull ${registry}/no-such-repository`,
  'a registry that is not there': `docker pull 127.0.0.1:1/busybox`,
  'a host that does not resolve': `docker pull no-such-host.invalid/busybox 2>&1 | sed 's/lookup.*//'`,
  'by digest': `
    digest=$(docker image inspect -f '{{index .RepoDigests 0}}' busybox | cut -d@ -f2)
    docker pull ${registry}/busybox@$digest
    docker pull ${registry}/busybox@sha256:0000000000000000000000000000000000000000000000000000000000000000`,
  'invalid names': `
    docker pull UPPER
    docker pull ${registry}/a:b:c
    docker pull ''
    docker pull ${registry}/busybox@sha256:short`,
  '--all-tags': `docker pull -a ${registry}/configured | grep -v 'Pull complete'`,
  '--platform that is not there': `docker pull --platform linux/arm64 ${registry}/busybox`,
  'docker manifest: create, annotate, push, inspect, and pull one of it': `
    export DOCKER_CLI_EXPERIMENTAL=enabled DOCKER_CONFIG=$PWD/config
    docker manifest create --insecure ${registry}/$c:all ${registry}/busybox ${registry}/configured
    docker manifest annotate --arch arm64 ${registry}/$c:all ${registry}/configured
    docker manifest push --insecure --purge ${registry}/$c:all | tail -1
    docker manifest inspect --insecure ${registry}/$c:all | grep -E 'mediaType|architecture|digest'
    docker pull --platform linux/s390x ${registry}/$c:all
    docker pull -q ${registry}/$c:all && docker image inspect -f '{{.Id}} {{.RepoDigests}}' ${registry}/$c:all`,
  'a name that is a hexadecimal id': `docker pull 0123456789012345678901234567890123456789012345678901234567890123`,
});

mainCases('images: list and inspect', [
  'list one by reference',
  'list by filter',
  'inspect, whole',
  'history',
]);
scriptCases('images: list and inspect', {
  'list one by reference': {
    script: `
      docker tag busybox $c:one
      docker images --format '{{.Repository}} {{.Tag}} {{.ID}} {{.Size}}' $c
      docker images --no-trunc --format '{{.ID}} {{.Digest}}' $c:one
      docker images --digests ${registry}/busybox --format '{{.Repository}} {{.Digest}}'
      docker images $c:no-such-tag
      docker images -q $c`,
    bothClis: true,
  },
  'list by filter': `
    docker tag busybox $c/a:one && docker tag configured $c/b:two
    docker images --filter reference="$c/*" --format '{{.Repository}}:{{.Tag}}' | sort
    docker images --filter reference="$c/*:two" --format '{{.Repository}}:{{.Tag}}'
    docker images --filter reference="$c/*" --filter label=org.example.one --format '{{.Repository}}'
    docker images --filter reference="$c/*" --filter label=org.example.one=2 --format '{{.Repository}}'
    docker images --filter reference="$c/*" --filter before=$c/b:two --format '{{.Repository}}'
    docker images --filter reference="$c/*" --filter since=$c/a:one --format '{{.Repository}}'
    docker images --filter nonsense=1
    docker images --filter dangling=maybe`,
  'inspect, whole': {
    script: `
      docker image inspect ${registry}/busybox
      docker image inspect ${registry}/configured
      docker image inspect ${registry}/debian:12`,
    bothClis: true,
  },
  'inspect by id, short id and digest': `
    id=$(docker image inspect -f '{{.Id}}' layers)
    docker image inspect -f '{{.Id}}' $id
    docker image inspect -f '{{.Id}}' $(echo $id | cut -c 8-19)
    docker image inspect -f '{{.Id}}' $(echo $id | cut -c 1-19)
    docker image inspect -f '{{.Id}}' $(docker image inspect -f '{{index .RepoDigests 0}}' layers)
    docker image inspect no-such-image
    docker image inspect sha256:0123`,
  history: {
    script: `
      docker history --no-trunc --format '{{.ID}}|{{.CreatedBy}}|{{.Size}}|{{.Comment}}' configured
      docker history --human=false --format '{{.Size}}' layers | awk '{ print ($1 >= 0) }'
      docker history -q busybox
      docker history no-such-image`,
    bothClis: true,
  },
});

mainCases('images: tag and remove', [
  'tag',
  'tag moves from one image to another',
  'rmi of one of several names only removes the name',
  'rmi of the last name removes the image',
  'rmi of an image in use',
  'rmi several, one unknown',
]);
scriptCases('images: tag and remove', {
  tag: `
    docker tag busybox $c
    docker tag $c:latest $c:two
    docker image inspect -f '{{.RepoTags}}' busybox | grep -o "$c:[a-z]*" | sort
    docker tag busybox UPPER
    docker tag busybox $c:-bad
    docker tag no-such-image $c:three
    docker tag busybox sha256:abc`,
  'tag moves from one image to another': `
    docker tag busybox $c
    docker tag layers $c
    docker image inspect -f '{{.Id}}' $c`,
  'rmi of one of several names only removes the name': {
    script: `
      docker tag busybox $c:one
      docker rmi $c:one
      docker rmi $c:one
      docker image inspect -f '{{.Id}}' busybox`,
    bothClis: true,
  },
  'rmi of the last name removes the image': `
    ${smallArchive}
    docker load -q -i in.tar
    docker rmi $c
    docker image inspect $c`,
  'rmi of an image in use': `
    ${smallArchive}
    docker load -q -i in.tar
    docker create --name $c-1 $c /x >/dev/null
    docker rmi $c
    docker rmi -f $c
    docker inspect -f '{{.Config.Image}}' $c-1`,
  'rmi of an image in use by a running container': `
    docker tag busybox $c
    docker run -d --name $c-1 $c sleep 1000 >/dev/null
    docker rmi $c`,
  'rmi by id of an image with several names': `
    ${smallArchive}
    docker load -q -i in.tar
    docker tag $c $c:two
    docker rmi $(docker images -q $c:two)
    docker rmi -f $(docker images -q $c:two)`,
  'rmi several, one unknown': `
    docker tag busybox $c:one
    docker rmi $c:one no-such-image`,
});

mainCases('images: archives', ['load', 'load nonsense', 'import', 'a loaded image runs']);
scriptCases('images: archives', {
  load: {
    script: `
      ${smallArchive}
      docker load -i in.tar
      docker load -q <in.tar
      docker image inspect -f '{{.RepoTags}} {{.Config.Cmd}} {{.Created}} {{.RootFS.Type}} {{len .RootFS.Layers}}' $c`,
    bothClis: true,
  },
  'load compressed': `
    ${smallArchive}
    gzip -k in.tar && docker load -q -i in.tar.gz && docker rmi $c >/dev/null
    xz -k in.tar && docker load -q -i in.tar.xz && docker rmi $c >/dev/null
    bzip2 -k in.tar && docker load -q -i in.tar.bz2`,
  'load nonsense': `
    echo nonsense >bad && docker load -i bad
    head -c 20000 /dev/urandom >bad && docker load -i bad 2>&1 | grep -c .
    tar -cf empty.tar -T /dev/null && docker load -i empty.tar
    echo '{' >manifest.json && tar -cf bad.tar manifest.json && docker load -i bad.tar
    echo '[{"Config":"../../etc/passwd","RepoTags":null,"Layers":[]}]' >manifest.json && tar -cf bad.tar manifest.json && docker load -i bad.tar 2>&1 | grep -c .`,
  'load of a truncated archive': `
    ${smallArchive}
    head -c 6000 in.tar >short.tar
    docker load -i short.tar 2>&1 | grep -c .
    docker image inspect $c`,
  'load of a layer that is not what the config says': `
    ${smallArchive}
    echo changed >l/file && tar -C l -cf layer.tar . && tar -cf in.tar manifest.json config.json layer.tar
    docker load -i in.tar 2>&1 | grep -o 'invalid diffID for layer 0'
    docker image inspect $c`,
  import: {
    script: `
      mkdir l && echo hi >l/file && tar -C l -cf l.tar .
      docker import l.tar $c:one
      docker import -m 'a message' -c 'CMD ["/x"]' -c 'ENV A=1' -c 'WORKDIR /w' - $c:two <l.tar
      docker image inspect -f '{{json .Config.Cmd}} {{json .Config.Env}} {{.Config.WorkingDir}} {{.Comment}}' $c:two
      docker history --format '{{.CreatedBy}}|{{.Comment}}' $c:two
      docker create --name $c-1 $c:one /bin/true >/dev/null && docker rm $c-1`,
    bothClis: true,
  },
  'import of nonsense': `
    echo nonsense >bad && docker import bad $c
    mkdir l && tar -C l -cf l.tar . && docker import -c 'RUN x' l.tar $c`,
  'a loaded image runs': `
    mkdir -p r/bin && cp $(command -v busybox) r/bin/echo && tar -C r --owner=0 --group=0 -cf layer.tar . && d=$(sha256sum layer.tar | cut -d' ' -f1)
    printf '{"architecture":"amd64","os":"linux","config":{"Entrypoint":["/bin/echo"]},"rootfs":{"type":"layers","diff_ids":["sha256:%s"]}}' $d >config.json
    printf '[{"Config":"config.json","RepoTags":["%s:latest"],"Layers":["layer.tar"]}]' $c >manifest.json
    tar -cf in.tar manifest.json config.json layer.tar && docker load -q -i in.tar
    docker run --rm $c runs`,
});
