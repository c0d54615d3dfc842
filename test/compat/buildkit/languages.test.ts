// Dockerfiles as people have them, of four languages, built to their end and run: several stages, cache mounts, binds, heredocs,
// arguments of platforms. The base images are made of build/languages (scripts/fetch-languages.sh).

import { existsSync } from 'node:fs';
import { join } from 'node:path';

import { registryHost } from '../../support/images/test-images';
import { projectDir } from '../../support/process/project-dir';
import { buildCases } from '../harness/build-cases';

const languages = join(projectDir, 'build', 'languages');
/** npm in an emulated VM takes minutes where others want the CPU too. */
const timeoutSeconds = 1500;

/** printf's words for the lines of a file. */
const lines = (...text: string[]): string =>
  text.map((line) => `'${line.replaceAll("'", "'\\''")}'`).join(' ');
const file = (path: string, ...text: string[]): string => `printf '%s\\n' ${lines(...text)} >${path}`;
const base = (name: string): string =>
  `docker build -q -t $c-base ${join(languages, name)} 2>/dev/null | cut -c 1-7`;
const show = `docker image inspect -f '{{json .Config.Cmd}} {{json .Config.Entrypoint}} {{.Config.User}} {{.Config.WorkingDir}} {{json .Config.Env}}' $c`;

if (existsSync(join(languages, 'stamp'))) {
  buildCases('buildkit: languages', {
    Go: {
      timeoutSeconds,
      script: `
        ${base('go')}
        mkdir -p cmd/hello greet; ${file('go.mod', 'module example.com/hello', '', 'go 1.19')}
        ${file('greet/greet.go', 'package greet', 'import "strings"', 'func Greet(name string) string { return strings.ToUpper("hello ") + name }')}
        ${file('cmd/hello/main.go', 'package main', 'import (', ' "fmt"', ' "os"', ' "example.com/hello/greet"', ')', 'var version = "dev"', 'func main() { fmt.Println(greet.Greet(os.Args[1]), version) }')}
        ${file(
          'Dockerfile',
          'ARG BASE',
          'FROM --platform=$BUILDPLATFORM $BASE AS build',
          'WORKDIR /src',
          'COPY go.mod ./',
          'RUN go mod download',
          'ARG TARGETOS TARGETARCH VERSION=dev',
          'RUN --mount=type=bind,target=. --mount=type=cache,target=/root/.cache/go-build \\',
          '    GOOS=$TARGETOS GOARCH=$TARGETARCH go build -ldflags "-s -w -X main.version=$VERSION" -o /out/hello ./cmd/hello',
          'FROM scratch AS program',
          'COPY --from=build /out/ /',
          'FROM program',
          'USER 65532:65532',
          'ENTRYPOINT ["/hello"]',
          'CMD ["nobody"]',
        )}
        docker build --build-arg BASE=$c-base --build-arg VERSION=1.2 -t $c . 2>&1 | grep -E 'ERROR|error:'; docker run --rm $c; docker run --rm $c you; ${show}
        sed -i s/hello/good-day/ greet/greet.go; docker build --build-arg BASE=$c-base -t $c . 2>&1 | grep -c 'CACHED$'; docker run --rm $c
        docker build --build-arg BASE=$c-base --target program -o out . 2>/dev/null; out/hello here`,
    },
    Node: {
      timeoutSeconds,
      script: `
        ${base('node')}
        mkdir -p greet src; ${file('greet/package.json', '{"name":"greet","version":"1.0.0","main":"index.js"}')}
        ${file('greet/index.js', 'module.exports = (name) => "hello " + name;')}
        ${file('package.json', '{"name":"app","version":"1.0.0","private":true,"scripts":{"build":"node build.js"},"dependencies":{"greet":"file:./greet"}}')}
        ${file('build.js', 'require("fs").mkdirSync("dist"); require("fs").copyFileSync("src/app.js", "dist/app.js");')}
        ${file('src/app.js', 'console.log(require("greet")(process.env.WHO), process.getuid(), process.env.NODE_ENV);')}
        ${file('.dockerignore', 'node_modules', 'dist', 'Dockerfile')}
        ${file(
          'Dockerfile',
          'ARG BASE',
          'FROM $BASE AS base',
          'ENV NODE_ENV=production',
          'WORKDIR /app',
          'FROM base AS deps',
          'COPY package.json ./',
          'COPY greet greet',
          'RUN --mount=type=cache,target=/root/.npm npm install --offline --no-audit --no-fund --no-update-notifier',
          'FROM deps AS build',
          'COPY . .',
          'RUN npm run --silent build',
          'FROM base AS final',
          'COPY --from=deps /app/node_modules ./node_modules',
          'COPY --from=deps /app/greet ./greet',
          'COPY --from=build --chown=1000:1000 /app/dist ./dist',
          'USER 1000',
          'ENV WHO=world',
          'HEALTHCHECK --interval=30s CMD node -e 0',
          'CMD ["node", "dist/app.js"]',
        )}
        docker build --build-arg BASE=$c-base -t $c . 2>&1 | grep -E 'ERROR|npm ERR'; docker run --rm $c; docker run --rm -e WHO=you $c; ${show}
        echo '// changed' >>src/app.js; docker build --build-arg BASE=$c-base -t $c . 2>&1 | grep -c 'CACHED$'`,
    },
    Python: {
      timeoutSeconds,
      script: `
        docker pull -q ${registryHost}/services
        mkdir -p app wheels; ${file('app/__main__.py', 'import greet, sys', 'print(greet.greet(sys.argv[1] if len(sys.argv) > 1 else "world"))')}
        ${file('wheels/greet.py', 'def greet(name):', '    return f"hello {name}"')}
        ${file(
          'Dockerfile',
          `FROM ${registryHost}/services AS base`,
          'ENV PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1',
          'FROM base AS build',
          'WORKDIR /build',
          'RUN --mount=type=cache,target=/root/.cache/pip --mount=type=bind,source=wheels,target=/wheels <<EOF',
          'set -e',
          'mkdir -p /build/app /root/.cache/pip',
          'cp /wheels/*.py /build/app/',
          'echo built >>/root/.cache/pip/log',
          'EOF',
          'COPY app app',
          'RUN <<EOF',
          '#!/usr/bin/env python3',
          'import zipapp',
          'zipapp.create_archive("app", "/app.pyz", interpreter="/usr/bin/env python3", compressed=True)',
          'print("zipped")',
          'EOF',
          'FROM base',
          'COPY --link --from=build /app.pyz /app.pyz',
          'COPY <<-"EOF" /etc/motd',
          '\t$HOME is not put in',
          'EOF',
          'RUN python3 /app.pyz test',
          'USER nobody',
          'CMD ["python3", "/app.pyz"]',
        )}
        docker build -t $c . 2>&1 | grep -oE '(ERROR.*| zipped| hello test)$' | sort; docker run --rm $c; docker run --rm $c cat /etc/motd; ${show}
        sed -i s/hello/good-day/ wheels/greet.py; docker build -t $c . 2>&1 | grep -oE ' good-day test$'; docker run --rm $c`,
    },
    Java: {
      timeoutSeconds,
      script: `
        ${base('java')}
        mkdir -p src/app; ${file('src/app/Greeter.java', 'package app;', 'record Greeter(String word) { String greet(String name) { return word + " " + name; } }')}
        ${file('src/app/Main.java', 'package app;', 'public class Main {', ' public static void main(String[] args) {', '  System.out.println(new Greeter("hello").greet(args.length > 0 ? args[0] : "world") + " " + System.getProperty("mode"));', ' }', '}')}
        ${file(
          'Dockerfile',
          'ARG BASE',
          'FROM $BASE AS build',
          'WORKDIR /src',
          'ENV JAVA_TOOL_OPTIONS="-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"',
          'COPY src src',
          'RUN --mount=type=cache,target=/classes <<EOF',
          'set -e',
          'javac -proc:none -d /classes src/app/*.java',
          'jar --create --file /app.jar --main-class app.Main -C /classes .',
          'EOF',
          'FROM $BASE',
          'COPY --from=build --chmod=644 /app.jar /opt/app.jar',
          'WORKDIR /opt',
          'ENTRYPOINT ["java", "-XX:TieredStopAtLevel=1", "-Dmode=image", "-jar", "app.jar"]',
        )}
        docker build --build-arg BASE=$c-base -t $c . 2>&1 | grep -E 'ERROR|error:'; docker run --rm $c; docker run --rm $c you; ${show}`,
    },
  });
} else {
  it.todo('the languages of scripts/fetch-languages.sh are not on this machine');
}
