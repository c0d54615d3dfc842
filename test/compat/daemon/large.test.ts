// What takes minutes on either engine: a hundred thousand files, and one of two gibibytes. Not part of a usual run
// (docs/development.md).

import { scriptCases } from '../harness/cases';
import { python } from '../harness/python';

const registry = '127.0.0.1:5000';
const timeoutSeconds = 3600;

/** Makes `m`: 100,000 files with contents of their own, in 100 directories. */
const manyFiles = python(`
import os
for d in range(100):
    os.makedirs('m/%d' % d)
    for f in range(1000):
        with open('m/%d/%d' % (d, f), 'w') as file: file.write('%d %d' % (d, f) * (f % 50))
`);
/** Names, modes and contents of all that is below the working directory. */
const sums = `find . -printf "%p %y %m\\n" | LC_ALL=C sort | md5sum; find . -type f -print0 | LC_ALL=C sort -z | xargs -0 cat | md5sum; find . -type f | wc -l`;
const sumsIn = (directory: string): string => `sh -c 'cd ${directory} && ${sums.replaceAll('\\', '\\\\')}'`;

/** Makes `big`: 2 GiB, of which each second piece of 4 MiB is a hole and the rest noise. */
const bigFile = python(`
import random
noise = random.Random(1)
with open('big', 'wb') as file:
    for i in range(256):
        file.seek(i << 23); file.write(noise.randbytes(1 << 22))
    file.truncate(1 << 31)
`);

scriptCases('large: 100,000 small files', {
  'by cp, diff, commit and export': {
    timeoutSeconds,
    script: `
      umask 022; ${manyFiles}; (cd m; ${sums})
      docker run -d --name $c debian:12 sleep 100000 | wc -c
      docker cp m $c:/srv
      docker exec $c ${sumsIn('/srv/m')}
      docker cp $c:/srv/m back
      (cd back; ${sums})
      docker diff $c | wc -l
      docker commit $c $c | wc -c
      docker run --rm $c ${sumsIn('/srv/m')}
      docker export $c | tar -t | grep -c '^srv/m/'
      docker rm -f $c; docker rmi $c | wc -l`,
  },
  'in a volume': {
    timeoutSeconds,
    script: `
      umask 022; ${manyFiles}; tar -cf m.tar m; rm -r m
      docker run --rm -v $c:/v -v $PWD:/in:ro debian:12 tar -C /v -xf /in/m.tar
      docker run --rm -v $c:/v debian:12 ${sumsIn('/v/m')}
      docker run --rm -v $c:/v debian:12 rm -r /v/m
      docker volume rm $c`,
  },
});

scriptCases('large: 2 GiB', {
  'by cp, commit, push, pull, save and load': {
    timeoutSeconds,
    script: `
      ${bigFile}; md5sum big
      docker run -d --name $c debian:12 sleep 100000 | wc -c
      docker cp big $c:/srv
      docker exec $c md5sum /srv/big
      docker cp $c:/srv/big - | tar -xO | md5sum
      docker commit $c ${registry}/$c | wc -c; docker rm -f $c
      docker push -q ${registry}/$c
      docker rmi ${registry}/$c | wc -l; docker pull -q ${registry}/$c
      docker run --rm ${registry}/$c md5sum /srv/big
      docker save -o saved ${registry}/$c; docker rmi ${registry}/$c | wc -l; docker load -qi saved; rm saved
      docker run --rm ${registry}/$c sh -c 'stat -c %s /srv/big; md5sum /srv/big'
      docker rmi ${registry}/$c | wc -l`,
  },
});
