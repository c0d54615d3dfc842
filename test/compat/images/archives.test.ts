// docker save, system df, image prune and system prune.

import { scriptCases } from '../harness/cases';

/** Writes `in.tar`: a docker-archive of two small layers, named and labelled by the case, with two tags. */
const smallArchive = `
  mkdir -p l m && echo $c >l/file && echo $c and more >m/other && tar --owner=0 --group=0 --mtime=@1700000000 -C l -cf l.tar . && tar --owner=0 --group=0 --mtime=@1700000000 -C m -cf m.tar .
  printf '{"architecture":"amd64","os":"linux","created":"2023-01-01T00:00:00.5Z","config":{"Cmd":["/x"],"Env":["A=<&>"],"Labels":{"case":"%s","a":"1"},"ExposedPorts":{"80/tcp":{}}},"rootfs":{"type":"layers","diff_ids":["sha256:%s","sha256:%s"]},"history":[{"created":"2023-01-01T00:00:00Z","created_by":"test"}]}' $c $(sha256sum <l.tar | cut -c-64) $(sha256sum <m.tar | cut -c-64) >config.json
  printf '[{"Config":"config.json","RepoTags":["%s:latest","%s:two"],"Layers":["l.tar","m.tar"]}]' $c $c >manifest.json
  tar -cf in.tar manifest.json config.json l.tar m.tar && docker load -qi in.tar`;

const members = `tar -tvf out.tar | awk '{ print substr($1, 1, 10), $3, $6, $7, $8 }' | sed 's/^d\\(.*\\) [0-9]* /d\\1 /'`;

scriptCases('save', {
  'an image, byte for byte': {
    script: `
      ${smallArchive}
      docker save -o out.tar $c:latest
      ${members}
      mkdir x && tar -xf out.tar -C x && cat x/manifest.json x/repositories x/*/json
      cat x/*/layer.tar x/*/VERSION | sha256sum
      docker save $c:latest | tar -xO | sha256sum`,
    bothClis: true,
  },
  'by name, tag, id and digest': `
    ${smallArchive}
    id=$(docker image inspect -f '{{.Id}}' $c)
    docker save $c | tar -xO manifest.json
    docker save $c:two $c:latest | tar -xO manifest.json
    docker save $id | tar -xO manifest.json
    docker save $(echo $id | cut -c8-19) | tar -xO manifest.json
    docker save $id $c:two | tar -xO manifest.json`,
  'an image with its parent, which it keeps': `
    mkdir d1 d2; (echo FROM busybox; echo LABEL case=$c) >d1/Dockerfile; (echo FROM $c:one; echo LABEL b=2) >d2/Dockerfile
    docker build -q -t $c:one d1 >out; docker build -q -t $c:two d2 >out
    docker save -o both.tar $c:two $c:one; docker save -o one.tar $c:one; docker save -o two.tar $c:two
    for f in both one two; do tar -xOf $f.tar manifest.json | grep -o Parent | wc -l; done
    docker rmi $c:two $c:one >/dev/null; docker load -i two.tar; docker inspect -f '{{.Parent}}.' $c:two
    docker load -i one.tar; docker inspect -f '{{.Parent}}.' $c:two; docker load -i both.tar | sort
    [ $(docker inspect -f '{{.Parent}}' $c:two) = $(docker inspect -f '{{.Id}}' $c:one) ]; echo $?
    docker rmi $c:one | cut -c1-12; docker images --filter label=case=$c --format '{{.Tag}}' | sort; docker images -a --filter label=case=$c --format '{{.Tag}}' | sort; docker rmi $c:two | cut -c1-8
    tar -xf both.tar; sed -i 's/"Parent":"sha256:[0-9a-f]*"/"Parent":"sha256:nonsense"/' manifest.json; tar -cf in.tar *.json repositories */*.*; docker load -i in.tar | sort; docker inspect -f '{{.Parent}}.' $c:two; docker rmi $c:two $c:one >/dev/null`,
  'several images that share a layer': `
    ${smallArchive}
    printf '{"architecture":"amd64","os":"linux","rootfs":{"type":"layers","diff_ids":["sha256:%s"]}}' $(sha256sum <m.tar | cut -c-64) >config.json
    printf '[{"Config":"config.json","RepoTags":["%s:three"],"Layers":["m.tar"]}]' $c >manifest.json
    tar -cf in.tar manifest.json config.json m.tar && docker load -qi in.tar
    docker save -o out.tar $c:latest $c:three
    tar -tvf out.tar | cut -c1 | sort | uniq -c
    docker rmi $c:latest $c:two $c:three >/dev/null
    docker load -qi out.tar | sort
    docker image inspect -f '{{json .RootFS}} {{json .Config}} {{.Created}}' $c:latest $c:three`,
  'what is not there': `
    docker save no-such-image >/dev/null
    docker save no-such-image:tag >/dev/null
    docker save UPPER >/dev/null
    docker save busybox no-such-image >/dev/null
    docker save sha256:0123 >/dev/null`,
});

scriptCases('disk usage', {
  'system df': `
    ${smallArchive}
    docker create --name $c-1 $c >/dev/null
    docker volume create $c-v >/dev/null
    docker run --rm -v $c-v:/v busybox sh -c 'head -c 100000 /dev/zero >/v/file'
    docker system df -v | grep $c | grep -v $c-1 | awk '{ print $1, $2, $(NF-3), $(NF-2), $(NF-1), $NF }'
    docker rm $c-1 >/dev/null && docker system df -v | grep "^$c " | awk '{ print $(NF-2), $(NF-1), $NF }'
    docker volume rm $c-v`,
});

scriptCases('prune', {
  'images by label and age': `
    ${smallArchive}
    docker image prune -f --filter label=case=$c
    docker image prune -af --filter label=case=$c --filter until=2020-01-01T00:00:00
    docker image prune -af --filter label=case=$c --filter label!=a=1
    docker create --name $c-1 $c >/dev/null && docker image prune -af --filter label=case=$c
    docker rm $c-1 >/dev/null
    docker image prune -af --filter label=case=$c --filter until=24h | sort
    docker image inspect $c`,
  'dangling images': `
    ${smallArchive}
    docker tag busybox $c:latest && docker tag busybox $c:two
    docker images -f dangling=true -f label=case=$c --format '{{.Repository}} {{.Tag}}'
    docker image prune -f --filter label=case=$c | sort`,
  // alone, and the build cache pruned before: no label keeps that from it
  system: {
    script: `
      ${smallArchive}
      docker create --name $c-1 --label case=$c $c >/dev/null
      docker network create --label case=$c $c >/dev/null
      docker builder prune -af >/dev/null
      docker system prune -af --filter label=case=$c | grep -v "^[0-9a-f]\\{64\\}$" | sort
      docker system prune -f --volumes --filter until=100000h`,
    alone: true,
  },
  'filters that are none': `
    docker image prune -f --filter nonsense=1
    docker image prune -f --filter until=nonsense
    docker image prune -f --filter dangling=maybe --filter label=case=$c`,
});
