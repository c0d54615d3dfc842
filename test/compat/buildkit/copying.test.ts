// COPY and ADD: files, links, owners, URLs, repositories.

import { buildCases } from '../harness/build-cases';
import { mainCases } from '../harness/cases';

/** The image's files under /x, without the sizes of directories, which file systems count differently. */
const listing = `find /x -exec stat -c '%n|%F|%a|%u|%g|%s|%h' {} + | sed -E 's/(directory.*)[|][0-9]+[|]([0-9]+)$/\\1/' | sort; find /x -type l -exec ls -l {} + | sed 's/.*\\/x/\\/x/'`;
/** For printf, inside single quotes. */
const quotedListing = listing.replace(/\\/g, '\\\\').replace(/%/g, '%%').replace(/'/g, "'\\''");

const files = `
  mkdir -p d/s && echo hello >f && printf gg >g && echo a >d/a && echo b >d/s/b && ln -s a d/l && ln d/a d/h && ln -s f lf && echo 1 >w1.txt && echo 2 >w2.txt
  chmod 640 g && chmod 700 d/s && mkdir -p t/lib && echo q >t/lib/q && tar --owner=5 --group=6 --mtime=@1700000000 -C t -cf a.tar lib`;

mainCases('buildkit: copying', ['COPY']);

buildCases('buildkit: copying', {
  COPY: `${files}
    printf 'FROM busybox\\nRUN mkdir -m 711 /x; chown 5:6 /x; mkdir /x/t; ln -s t /x/to\\nCOPY f /x/\\nCOPY f /x/p/q/r\\nCOPY --chown=nobody:5 d /x/d1\\nCOPY d/ /x/d2/\\nCOPY w?.txt lf /x/w/\\nCOPY g /x/to/\\nCOPY ["f","/x/e f"]\\nWORKDIR /x/wd\\nCOPY f .\\nCOPY d sub\\nRUN ${quotedListing}\\n' >Dockerfile
    docker build -t $c .
    touch -d @1 f g d/a && cached .
    chmod 600 f && cached .`,
  'COPY --link and --chmod': `${files}
    # what --link makes on the way is the owner's where layers are merged, as the oracle's are not
    printf 'FROM busybox\\nCOPY --link f /x/\\nCOPY --link --chown=5:6 --chmod=711 d /x/d/\\nCOPY --chmod=745 g /x/g\\nRUN ${quotedListing}\\n' >Dockerfile
    docker build . 2>&1 | grep -v '/x|directory'`,
  'archives, stages': `${files}
    printf 'FROM busybox AS one\\nRUN mkdir -p /x/usr; ln -s usr /x/lib; echo 1 >/x/s; chmod 4755 /x/s; ln /x/s /x/h; mkfifo /x/p\\nADD a.tar f /x/\\nFROM busybox\\nCOPY --from=one /x /x\\nCOPY --from=0 --chown=8:9 /x/s /x/lib/ /x/c/\\nRUN ${quotedListing}\\n' >Dockerfile
    docker build .`,
  dockerignore: `${files}
    printf 'Dockerfile\\n.dockerignore\\n**/b\\n*.txt\\n!w1.txt\\nd/l\\na.tar\\nt\\n' >.dockerignore
    printf 'FROM busybox\\nCOPY . /x/\\nRUN find /x | sort\\n' >Dockerfile
    docker build .
    printf 'd\\n' >other.dockerignore && cp Dockerfile other && docker build -f other . 2>&1 | grep -c '/x/d'
    printf 'FROM busybox\\nCOPY d/s/b /\\n' >Dockerfile; docker build . 2>&1 | tail -1`,
  'ADD of URLs': {
    script: `
      mkdir www; echo content >www/f; touch -d @1700000000 www/f; tar -cf www/a.tar -C www f; touch -d @1700000001 www/a.tar; mkdir other; cd other
      (on_host python3 -m http.server --bind 127.0.0.1 -d ../www $port >/dev/null 2>&1 &)
      wait_for on_host curl -sf http://127.0.0.1:$port/f
      sum=$(sha256sum ../www/f | cut -d' ' -f1)
      printf "FROM busybox\\nADD http://127.0.0.1:$port/f /x/\\nADD --chmod=640 --chown=5:6 http://127.0.0.1:$port/f /x/named\\nADD --checksum=sha256:$sum http://127.0.0.1:$port/f /x/sum\\nADD http://127.0.0.1:$port/a.tar /x/\\nRUN find /x -type f -exec stat -c '%%n %%a %%u %%g %%s %%Y' {} + | sort\\n" >Dockerfile
      docker build . 2>&1 | sed "s/:$port/:port/g"
      cached . | sed "s/:$port/:port/g"
      printf "FROM busybox\\nADD http://127.0.0.1:$port/none /x/\\n" >Dockerfile; docker build . 2>&1 | tail -1 | sed "s/:$port/:port/g"
      printf "FROM busybox\\nADD --checksum=sha256:$(printf x | sha256sum | cut -d' ' -f1) http://127.0.0.1:$port/f /x/\\n" >Dockerfile; docker build . 2>&1 | tail -1 | sed "s/:$port/:port/g"
      printf "FROM busybox\\nADD http://127.0.0.1:1/f /x/\\n" >Dockerfile; docker build . 2>&1 | tail -1`,
  },
  'ADD of a repository': {
    script: `
      export GIT_AUTHOR_DATE=@1700000000 GIT_COMMITTER_DATE=@1700000000 GIT_CONFIG_COUNT=2 GIT_CONFIG_KEY_0=user.name GIT_CONFIG_VALUE_0=a GIT_CONFIG_KEY_1=user.email GIT_CONFIG_VALUE_1=a@b
      git init -q -b main repo.git; (cd repo.git; mkdir sub; echo one >f; echo below >sub/g; ln -s f l; chmod 755 sub/g; printf 'FROM busybox\\nCOPY . /x\\nRUN ls /x\\n' >Dockerfile; git add .; git commit -qm one; git tag -a v1 -m v1; echo two >f; git commit -qam two)
      (on_host git daemon --reuseaddr --listen=127.0.0.1 --port=$port --export-all --base-path=. . >/dev/null 2>&1 &)
      wait_for on_host git ls-remote git://127.0.0.1:$port/repo.git
      mkdir work; cd work
      printf "FROM busybox\\nADD git://127.0.0.1:$port/repo.git /x/\\nADD git://127.0.0.1:$port/repo.git#v1 /y/\\nADD git://127.0.0.1:$port/repo.git#main:sub /z/\\nADD --keep-git-dir=true git://127.0.0.1:$port/repo.git#main /k/\\nRUN find /x /y /z /k/f /k/.git/HEAD -exec stat -c '%%n %%F %%a %%u %%g' {} + | sort; echo f: \\$(cat /x/f /y/f /k/f); echo HEAD: \\$(wc -c </k/.git/HEAD)\\n" >Dockerfile
      docker build . 2>&1 | grep -oE ' (/[xyzk](/[^ ]*)? (regular|directory|symbolic).*|f: .*|HEAD: .*|ERROR.*)$' | sort
      for ref in none '#none' '#main:none'; do printf "FROM busybox\\nADD git://127.0.0.1:$port/repo.git$ref /x/\\n" >Dockerfile; docker build . 2>&1 | tail -1 | sed "s/:$port/:port/g"; done
      docker build git://127.0.0.1:$port/repo.git#main 2>&1 | sed "s/:$port/:port/g"
      docker build git://127.0.0.1:$port/repo.git#main:sub 2>&1 | tail -1 | sed "s/:$port/:port/g"`,
  },
});
