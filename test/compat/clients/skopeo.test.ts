// skopeo, whose `docker-daemon:` speaks API 1.22.

import { scriptCases } from '../harness/cases';

scriptCases('skopeo', {
  'copy out of the engine and into it': `
    skopeo inspect --daemon-host $DOCKER_HOST --format '{{.Architecture}} {{.Os}} {{len .Layers}}' docker-daemon:layers:latest
    skopeo --insecure-policy copy -q --src-daemon-host $DOCKER_HOST docker-daemon:layers:latest oci:out:latest; ls out
    skopeo --insecure-policy copy -q --dest-daemon-host $DOCKER_HOST oci:out:latest docker-daemon:$c:back
    docker inspect -f '{{json .Config.Cmd}} {{json .Config.Env}} {{len .RootFS.Layers}}' $c:back layers
    docker run --rm $c:back echo works
    skopeo inspect --daemon-host $DOCKER_HOST docker-daemon:no-such-$c:latest 2>&1 | sed 's/^time="[^"]*" //'`,
});
