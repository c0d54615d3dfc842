// nginx, a web application on Node, Redis and PostgreSQL as one Compose project: pulled, started in the order of their
// health, asked through the published port, restarted, and its data still there.

import { composeGenerations, newestCompose } from '../harness/compose';
import { mainCases, scriptCases } from '../harness/cases';
import { composeShop } from '../../support/images/compose-shop';

const script = (setUp: string, command: string, port: number): string => `
  ${setUp}
  echo ${Buffer.from(composeShop(port)).toString('base64')} | base64 -d >docker-compose.yml; echo TITLE=shop >app.env; echo a word of the test >password.txt
  compose() { ${command} -p $c "$@" 2>stderr; }; get() { on_host curl -sf --max-time 20 127.0.0.1:${String(port)}/$1; }; ready() { local i; for i in 1 2 3 4; do wait_for get ready && return; done 2>/dev/null; get ready; compose ps -a; compose logs; }
  compose pull >/dev/null
  compose up -d >/dev/null; ready
  get static; get; get
  compose exec -T app sh -c 'cat $DB_PASSWORD_FILE; echo $TITLE; getent hosts cache database | wc -l'
  compose exec -T web sh -c 'getent hosts database; timeout 2 bash -c "</dev/tcp/database/5432" || exit 1' 2>/dev/null
  compose exec -T cache redis-cli get hits
  compose restart >/dev/null; ready; get
  echo TITLE=market >app.env; compose up -d >/dev/null; ready; get
  docker ps --filter label=com.docker.compose.project=$c --format '{{.Label "com.docker.compose.service"}} {{.State}}' | sort
  compose down -v >/dev/null; docker ps -aq --filter label=com.docker.compose.project=$c; docker volume ls -q --filter name=$c; docker network ls -q --filter name=$c`;

for (const { name, setUp, command, available } of composeGenerations) {
  if (!available) {
    it.todo(`${name} is not on this machine`);
    continue;
  }
  if (name !== newestCompose) mainCases(name, []);
  scriptCases(name, {
    'nginx, Node, Redis and PostgreSQL': {
      script: script(setUp, command, name === 'Compose v1' ? 18211 : 18212),
      timeoutSeconds: 800,
    },
  });
}
