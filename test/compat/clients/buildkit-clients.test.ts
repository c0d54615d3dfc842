// Others that build with BuildKit than the docker command: libraries, and the Dev Containers CLI.

import { existsSync } from 'node:fs';
import { join } from 'node:path';

import { projectDir } from '../../support/process/project-dir';
import { buildCases } from '../harness/build-cases';

const client = join(projectDir, 'test', 'compat', 'clients', 'buildkit-client.mjs');
// scripts/fetch-devcontainers.sh
const devcontainer = join(projectDir, 'build', 'devcontainers', 'devcontainer.js');

buildCases('buildkit: libraries', {
  'dockerode and testcontainers': `
    mkdir x; echo of a file >x/f; printf 'FROM busybox\\nARG V=none\\nCOPY f /f\\nRUN --mount=type=cache,target=/c echo $V >/v\\nCMD cat /f /v\\n' >x/Dockerfile
    on_host ${process.execPath} ${client} dockerode $c x; docker run --rm --name $c $c
    TESTCONTAINERS_RYUK_DISABLED=true on_host ${process.execPath} ${client} testcontainers $c x`,
});

if (existsSync(devcontainer)) {
  buildCases('buildkit: Dev Containers', {
    'build, up and exec': {
      script: `
        mkdir -p w/.devcontainer; printf 'FROM debian:12\\nARG V\\nRUN echo $V >/v\\n' >w/.devcontainer/Dockerfile; echo content >w/f
        printf '{"build":{"dockerfile":"Dockerfile","args":{"V":"one"}},"postCreateCommand":"echo made >/made","workspaceFolder":"/w","workspaceMount":"source=\${localWorkspaceFolder},target=/w,type=bind"}' >w/.devcontainer/devcontainer.json
        devcontainer() { on_host ${process.execPath} ${devcontainer} "$@" --workspace-folder w; }
        devcontainer build --image-name $c 2>/dev/null; docker run --rm --name $c $c cat /v
        devcontainer up --id-label case=$c 2>/dev/null | sed 's/.*"outcome":"\\([a-z]*\\)".*/\\1/'
        devcontainer exec --id-label case=$c sh -c 'cat /v /made /w/f; pwd' 2>/dev/null
        docker rm -f $(docker ps -aq --filter label=case=$c) >/dev/null; docker image ls --format '{{.Repository}}' 'vsc-w-*' | sed 's/-[0-9a-f]*//2' | sort -u; docker rmi -f $(docker image ls -q 'vsc-w-*') >/dev/null`,
      timeoutSeconds: 300,
    },
  });
} else {
  it.todo('the Dev Containers CLI is not on this machine');
}
