// A Docker engine inside a privileged container, as CI jobs run it. Not compared with dockerd: what it does with
// --privileged depends on what the host gives it.

import { type StepResult, runScript } from '../../support/engines/docker-cli';
import { registryHost } from '../../support/images/test-images';
import { compatEnvironment } from '../harness/environment';

const image = `${registryHost}/engine`;
/** dockerd gives a containerd that it starts itself 15 seconds, which an emulated VM on a busy host does not keep. */
const startEngine =
  'containerd >/dev/null 2>&1 & until [ -S /run/containerd/containerd.sock ]; do sleep 1; done; exec dockerd --containerd /run/containerd/containerd.sock';

test('Docker in Docker: an engine of its own runs containers and publishes their ports', async () => {
  const {
    clis: [cli],
    hosts: { caisson: host },
  } = compatEnvironment();
  if (cli === undefined || host === undefined) return;
  const fetchPage = `docker exec $c python3 -c 'import urllib.request as u; print(u.urlopen("http://127.0.0.1:8080/").read())'`;
  const steps = [
    `docker run -d --privileged --name $c ${image} sh -c '${startEngine}' >/dev/null 2>&1`,
    `wait_for docker exec $c docker info`,
    `docker exec $c sh -c 'docker import - tiny </tiny.tar >/dev/null && docker images --format "{{.Repository}}" && docker info --format "{{.Driver}}"'`,
    `docker exec $c docker run --rm tiny sh -c 'busybox echo inner; busybox ip -4 -o address show eth0 | busybox wc -l; exit 3'`,
    `docker exec $c docker run -d --name server -p 8080:80 tiny sh -c 'busybox mkdir /www && busybox echo a page >/www/index.html && exec busybox httpd -f -h /www' >/dev/null`,
    `page() { ${fetchPage}; }`,
    `wait_for page`,
    `page`,
    `docker exec $c docker rm -f server`,
  ];
  const variables = { c: 'nested-engine' };
  const run = (list: readonly string[]): Promise<StepResult[]> =>
    runScript({ cli, host, steps: list, variables, timeoutMs: 1_000_000 });
  try {
    expect((await run(steps)).map(({ exitCode, stdout, stderr }) => [exitCode, stdout, stderr])).toEqual([
      [0, '', ''],
      [0, '', ''],
      [0, 'tiny\noverlay2\n', ''],
      [3, 'inner\n1\n', ''],
      [0, '', ''],
      [0, '', ''],
      [0, '', ''],
      [0, "b'a page\\n'\n", ''],
      [0, 'server\n', ''],
    ]);
  } finally {
    await run([`docker rm -fv $c`, `docker rmi -f ${image}`]);
  }
}, 1_200_000);
