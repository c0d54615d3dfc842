// docker push and what a registry says of images; images that go from one engine to the other.

import { runScript } from '../../support/engines/docker-cli';
import { httpCases, scriptCases } from '../harness/cases';
import { compatEnvironment } from '../harness/environment';

const registry = '127.0.0.1:5000';

/** Layers go in any order, wait for those of other pushes, and where a blob is mounted from is the engine's choice. */
const steady = `grep -v Waiting | sed 's/Mounted from .*/Mounted/' | sort`;

/** A docker-archive of two layers on standard output; the upper one removes a file and empties a directory. */
const whiteoutArchive = `
  mkdir -p one/bin one/kept one/emptied two/kept two/emptied && cp $(command -v busybox) one/bin/sh && ln -s sh one/bin/find
  echo low >one/kept/gone && echo low >one/kept/stays && echo low >one/emptied/old && echo high >two/emptied/new && touch two/kept/.wh.gone two/emptied/.wh..wh..opq && chmod 750 two/emptied
  tar --sort=name --owner=7 --group=8 --mtime=@1700000000 -C one -cf one.tar . && tar --sort=name --owner=0 --group=0 --mtime=@1700000000 -C two -cf two.tar .
  printf '{"architecture":"amd64","os":"linux","created":"2023-01-01T00:00:00Z","config":{"Cmd":["/bin/sh"]},"rootfs":{"type":"layers","diff_ids":["sha256:%s","sha256:%s"]}}' $(sha256sum <one.tar | cut -c-64) $(sha256sum <two.tar | cut -c-64) >config.json
  printf '[{"Config":"config.json","RepoTags":["%s:latest"],"Layers":["one.tar","two.tar"]}]' ${registry}/$c >manifest.json
  tar -cf in.tar manifest.json config.json one.tar two.tar`;

const look = `/bin/sh -c 'find /kept /emptied | sort; cat /emptied/new; stat -c "%a %u:%g %n" /emptied /kept/stays'`;

scriptCases('push', {
  'an image that was pulled': {
    script: `
      r=$c-$(date +%s%N)
      docker tag ${registry}/layers ${registry}/$r
      docker push ${registry}/$r | ${steady} | sed "s/$r/R/"
      docker push ${registry}/$r | ${steady} | sed "s/$r/R/"
      docker image inspect -f '{{range .RepoDigests}}{{println .}}{{end}}' ${registry}/$r | grep $r | cut -d@ -f2
      docker rmi ${registry}/$r >/dev/null`,
    bothClis: true,
  },
  'all tags, and quietly': `
    docker tag ${registry}/layers ${registry}/$c:one && docker tag ${registry}/busybox ${registry}/$c:two
    docker push -a ${registry}/$c | grep -E 'refers|digest'
    docker push -q ${registry}/$c:one
    docker push -a ${registry}/$c:one`,
  'images that are not there': `
    docker push ${registry}/no-such-image
    docker push no-such-image:tag
    docker tag busybox ${registry}/$c:one
    docker push ${registry}/$c:two
    docker push UPPER
    docker push ${registry}/$c:-bad`,
  'registries that are not there': `
    docker tag busybox 127.0.0.1:1/$c
    docker push 127.0.0.1:1/$c`,
  'whiteouts and opaque directories, pushed, pulled and run': `
    ${whiteoutArchive}
    docker load -q -i in.tar
    docker push -q ${registry}/$c
    docker rmi ${registry}/$c | grep -c Deleted
    docker pull -q ${registry}/$c
    docker run --rm ${registry}/$c ${look}`,
});

httpCases('push: requests', {
  'without credentials': `POST /images/${registry}/busybox/push`,
  'a digest': {
    request: `POST /images/${registry}/busybox@sha256:0000000000000000000000000000000000000000000000000000000000000000/push`,
    headers: { 'x-registry-auth': 'e30=' },
  },
  'a tag that is none': {
    request: `POST /images/${registry}/busybox/push?tag=-bad`,
    headers: { 'x-registry-auth': 'e30=' },
  },
});

httpCases('distribution', {
  'by tag': `GET /distribution/${registry}/layers:latest/json`,
  'without tag': `GET /distribution/${registry}/busybox/json`,
  'not there': [
    `GET /distribution/${registry}/layers:no-such-tag/json`,
    `GET /distribution/${registry}/no-such-repository/json`,
    'GET /distribution/127.0.0.1:1/x/json',
  ],
  'no name': [
    'GET /distribution/UPPER/json',
    'GET /distribution/0123456789012345678901234567890123456789012345678901234567890123/json',
  ],
});

describe('from one engine to the other', () => {
  const { hosts, clis } = compatEnvironment();
  const { dockerd, caisson } = hosts;
  const [cli] = clis;

  const run = async (host: string, name: string, script: string) => {
    if (cli === undefined) throw new Error('no docker command');
    const steps = script
      .split('\n')
      .map((line) => line.trim())
      .filter((line) => line !== '');
    return runScript({ cli, host, steps, variables: { c: name }, timeoutMs: 90_000 });
  };

  test.each([
    ['dockerd', 'Caisson', dockerd, caisson],
    ['Caisson', 'dockerd', caisson, dockerd],
  ])('an image that %s pushes is pulled and run by %s', async (_from, _to, from, to) => {
    if (from === undefined || to === undefined) return; // one engine only: nothing to exchange
    const name = `exchange-${_from.toLowerCase()}`;
    const pushed = await run(
      from,
      name,
      `${whiteoutArchive}\ndocker load -q -i in.tar\ndocker push -q ${registry}/$c`,
    );
    expect(pushed.at(-1)).toMatchObject({ exitCode: 0 });
    const used = await run(
      to,
      name,
      `docker pull -q ${registry}/$c\ndocker run --rm ${registry}/$c ${look}\ndocker rmi -f ${registry}/$c`,
    );
    const removed = await run(from, name, `docker rmi -f ${registry}/$c`);
    expect(removed[0]).toMatchObject({ exitCode: 0 });
    expect(used[1]?.stdout).toBe(
      '/emptied\n/emptied/new\n/kept\n/kept/stays\nhigh\n750 0:0 /emptied\n644 7:8 /kept/stays\n',
    );
  });
});
