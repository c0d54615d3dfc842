// What the dockerd that builds are compared with has not, or not without its containerd store: newer checks and flags, archives, indexes,
// several platforms, caches that are exported. By the newest client, on Caisson alone.

import { existsSync } from 'node:fs';
import { join } from 'node:path';

import { runScript } from '../../support/engines/docker-cli';
import { registryHost } from '../../support/images/test-images';
import { projectDir } from '../../support/process/project-dir';
import { tailRuns } from '../../support/shards';
import { splitSteps } from '../harness/cases';
import { compatEnvironment } from '../harness/environment';

// scripts/fetch-forky.sh
const dir = join(projectDir, 'build', 'forky', 'usr');
const cli = { version: 'forky', path: join(dir, 'bin', 'docker') };
const plugins = [join(dir, 'libexec', 'docker', 'cli-plugins', 'docker-buildx')];
const { target, hosts, namespacePid } = compatEnvironment();
const isThere = [cli.path, ...plugins].every((path) => existsSync(path)) && target !== 'dockerd';

/** What the script's steps print, as one text; `$c` is a name of the case's own. */
async function told(caseName: string, script: string): Promise<string> {
  const results = await runScript({
    cli,
    host: hosts.caisson ?? '',
    steps: splitSteps(script),
    plugins,
    variables: {
      c: caseName,
      DOCKER_BUILDKIT: '1',
      BUILDKIT_PROGRESS: 'plain',
      BUILDX_GIT_INFO: 'false',
      HOST_NETWORK: `/proc/${namespacePid}/ns/net`,
    },
    timeoutMs: 300_000,
  });
  return results.map(({ stdout, stderr }) => stdout + stderr).join('');
}

const mainCase = 'checks, outlines and targets are asked for';

/** Each but one is of the long tail. */
function caissonCase(name: string, run: () => Promise<void>): void {
  if (isThere && (name === mainCase || tailRuns(`buildkit: beyond: ${name}`))) test(name, run, 600_000);
}

if (!isThere) it.todo('the newest client is not on this machine');

caissonCase(mainCase, async () => {
  const text = await told(
    'bk-asks',
    `
    printf '# v is the version\\nARG v=1\\nFROM busybox AS one\\nARG v\\nRUN --mount=type=secret,id=s true\\n# two is built\\nFROM one AS two\\nCMD echo $nothing\\n' >Dockerfile
    docker buildx build --check . 2>&1 | grep -E '^(WARNING|Check)'
    docker buildx build --call=outline . 2>/dev/null
    docker buildx build --call=targets . 2>/dev/null`,
  );
  expect(text).toContain('WARNING: JSONArgsRecommended');
  expect(text).toMatch(/^TARGET: +two$/m);
  expect(text).toMatch(/^v +1 +is the version/m);
  expect(text).toMatch(/^s +/m);
  expect(text).toMatch(/^one *$/m);
  expect(text).toMatch(/^two \(default\) +is built/m);
});

caissonCase('--parents and --exclude', async () => {
  const text = await told(
    'bk-parents',
    `
    mkdir -p a/b c; echo 1 >a/b/x; echo 2 >a/b/y.log; echo 3 >c/x
    printf 'FROM scratch\\nCOPY --parents ./a/./b c/x /p/\\nCOPY --exclude=*.log a/b /e/\\n' >Dockerfile
    docker buildx build -o out . 2>/dev/null; find out -type f | sort`,
  );
  expect(text.trim().split('\n')).toEqual(['out/e/x', 'out/p/b/x', 'out/p/b/y.log', 'out/p/c/x']);
});

caissonCase('archives, a layout as a context, a cache in a directory', async () => {
  const text = await told(
    'bk-archives',
    `
    printf 'FROM busybox\\nRUN echo '$c' >/made\\n' >Dockerfile
    docker buildx build -o type=oci,dest=oci.tar --cache-to type=local,dest=cache,mode=max . 2>/dev/null; tar -tf oci.tar | grep -c ^blobs/sha256/.
    docker buildx build -o type=docker,dest=docker.tar -t $c:archive . 2>/dev/null; docker load -q -i docker.tar; docker run --rm $c:archive cat /made; docker rmi -f $c:archive >/dev/null
    test -s cache/index.json && echo a cache
    mkdir layout; tar -C layout -xf oci.tar; digest=$(sed 's/.*"digest":"\\([^"]*\\)".*/\\1/' layout/index.json)
    printf 'FROM base\\nRUN cat /made >/again\\n' >Dockerfile; docker buildx build --build-context base=oci-layout://layout@$digest -o out . 2>/dev/null; cat out/again`,
  );
  expect(text).toMatch(/^[4-9]\nLoaded image: bk-archives:archive\nbk-archives\na cache\nbk-archives\n$/);
});

caissonCase('two platforms, cross-compiled, in a registry', async () => {
  const text = await told(
    'bk-platforms',
    `
    printf 'FROM --platform=$BUILDPLATFORM busybox AS build\\nARG TARGETARCH\\nRUN echo for $TARGETARCH >/program\\nFROM scratch\\nCOPY --from=build /program /\\n' >Dockerfile
    docker buildx build --platform linux/amd64,linux/arm64 --push -t ${registryHost}/$c . 2>&1 | grep -c '^#.*ERROR'
    on_host docker buildx imagetools inspect ${registryHost}/$c 2>&1 | grep -oE 'linux/(amd64|arm64)' | sort -u
    docker buildx build --platform linux/arm64,linux/amd64 -o out . 2>/dev/null; cat out/*/program`,
  );
  expect(text).toBe('0\nlinux/amd64\nlinux/arm64\nfor amd64\nfor arm64\n');
});

caissonCase('the history of builds', async () => {
  const text = await told(
    'bk-history',
    `
    printf 'FROM busybox\\nRUN echo told of '$c'\\n' >Dockerfile
    docker buildx build --metadata-file m.json . 2>/dev/null; ref=$(sed -n 's/.*"buildx.build.ref": "[^"]*\\/\\([^"\\/]*\\)".*/\\1/p' m.json)
    docker buildx history ls --format '{{.Ref}} {{.Status}}' 2>&1 | grep $ref | sed "s/$ref/ref/; s/.*\\/ref/ref/"
    docker buildx history logs $ref 2>&1 | grep -o 'told of bk-history$' | head -n 1
    docker buildx history inspect $ref 2>&1 | grep -oE '^Status:.*'
    docker buildx history rm $ref >/dev/null 2>&1; docker buildx history ls 2>/dev/null | grep -c $ref`,
  );
  expect(text).toMatch(/^ref Completed\ntold of bk-history\n(Status: .*\n)?0\n$/);
});

caissonCase('a cache in a registry', async () => {
  const text = await told(
    'bk-cache',
    `
    cached() { docker buildx build "$@" 2>&1 | grep -cE '^#[0-9]+ CACHED'; }
    printf 'FROM busybox AS one\\nRUN echo '$c' >/x\\nFROM scratch\\nCOPY --from=one /x /'$c'\\n' >Dockerfile
    docker buildx build --cache-to type=registry,ref=${registryHost}/$c:cache,mode=max . 2>&1 | grep -c 'ERROR'
    docker buildx prune -af --filter description~=$c >/dev/null; cached .
    docker buildx prune -af --filter description~=$c >/dev/null; cached --cache-from type=registry,ref=${registryHost}/$c:cache -o out .; cat out/$c`,
  );
  expect(text).toBe('0\n0\n2\nbk-cache\n');
});

caissonCase('a cache within an image', async () => {
  const text = await told(
    'bk-inline',
    `
    cached() { docker buildx build "$@" 2>&1 | grep -cE '^#[0-9]+ CACHED'; }
    printf 'FROM busybox\\nRUN echo '$c' >/x\\nRUN cat /x /x >/y\\n' >Dockerfile
    docker buildx build --cache-to type=inline --push -t ${registryHost}/$c:inline . 2>&1 | grep -c 'ERROR'
    docker buildx prune -af --filter description~=$c >/dev/null; docker buildx prune -af --filter 'description~=cat /x' >/dev/null; cached .
    docker buildx prune -af --filter description~=$c >/dev/null; docker buildx prune -af --filter 'description~=cat /x' >/dev/null
    cached --cache-from type=registry,ref=${registryHost}/$c:inline -o out .; cat out/y`,
  );
  expect(text).toBe('0\n0\n2\nbk-inline\nbk-inline\n');
});

caissonCase('annotations of an index and of its manifests', async () => {
  const text = await told(
    'bk-annotations',
    `
    printf 'FROM scratch\\nCOPY Dockerfile /\\n' >Dockerfile; mkdir layout
    docker buildx build --provenance=false --platform linux/amd64,linux/arm64 -o type=oci,dest=o.tar --annotation every=1 --annotation index:top=2 --annotation 'manifest[linux/arm64]:arm=3' . 2>&1 | grep -c ERROR
    tar -C layout -xf o.tar; cd layout/blobs/sha256; grep -lE '"every": ?"1"' * | wc -l; grep -lE '"top": ?"2"' * | wc -l; grep -lE '"arm": ?"3"' * | wc -l`,
  );
  expect(text).toBe('0\n2\n1\n1\n');
});

caissonCase('a directive names our frontend, leaves out checks, makes of the others errors', async () => {
  const text = await told(
    'bk-directives',
    `
    printf '# syntax=docker/dockerfile:1\\n# check=skip=JSONArgsRecommended;error=true\\nFROM busybox\\nCMD echo\\n' >Dockerfile
    docker buildx build . 2>&1 | grep -cE '^(WARN|ERROR)| docker.io/docker/dockerfile'
    printf '# check=error=true\\nFROM busybox\\nCMD echo\\n' >Dockerfile; docker buildx build . 2>&1 | tail -1
    printf 'FROM busybox as b\\nENV a b\\nMAINTAINER me\\nWORKDIR w\\n' >Dockerfile; docker buildx build . 2>&1 | grep -oE -e '- [A-Za-z]+:' | sort`,
  );
  expect(text).toBe(
    '0\nERROR: failed to build: failed to solve: lint violation found for rules: JSONArgsRecommended (line 3)\n' +
      '- FromAsCasing:\n- LegacyKeyValueFormat:\n- MaintainerDeprecated:\n- WorkdirRelativePath:\n',
  );
});

caissonCase('a privileged step, where it is allowed', async () => {
  const text = await told(
    'bk-insecure',
    `
    printf '# syntax=docker/dockerfile:1\\nFROM busybox\\nRUN --security=insecure grep CapEff /proc/self/status\\n' >Dockerfile
    docker buildx build --allow security.insecure . 2>&1 | grep -oE 'CapEff:.*'; docker buildx build --no-cache . 2>&1 | tail -1`,
  );
  expect(text).toMatch(/^CapEff:\s*0*1ffffffffff\nERROR: .*security.insecure is not allowed/);
});

caissonCase('what is stated of an image goes to the registry with it', async () => {
  const text = await told(
    'bk-stated',
    `
    printf 'FROM busybox\\nRUN echo '$c' >/x\\n' >Dockerfile; docker buildx build --provenance mode=max --push -t ${registryHost}/$c . 2>&1 | grep -c ERROR
    inspect() { on_host docker buildx imagetools inspect ${registryHost}/$c --format "$1" 2>&1; }
    inspect '{{json .Provenance}}' >p; grep -oE '"(buildType|name)": *"[^"]*"' p | sort -u | head -3; grep -c llbDefinition p; grep -c '"layers"' p
    docker rmi ${registryHost}/$c >/dev/null; docker pull -q ${registryHost}/$c; docker run --rm ${registryHost}/$c cat /x`,
  );
  expect(text).toContain('"buildType"');
  expect(text).toMatch(/\n1\n1\n.*bk-stated:latest\nbk-stated\n$/);
});
