// nginx, a web application on Node, Redis and PostgreSQL as one Compose file: health checks that others wait for, an internal network,
// volumes, a secret, and a published port. Beside it lie app.env, which sets TITLE, and password.txt.

import { registryHost } from './test-images';

const image = `${registryHost}/services`;
const postgres = '/usr/lib/postgresql/15/bin';

export const composeShop = (port: number): string => `
version: '3.8'
services:
  database:
    image: ${image}
    user: postgres
    command: ${postgres}/postgres -D /var/lib/postgresql/data -c listen_addresses=* -c shared_buffers=16MB
    stop_signal: SIGINT
    volumes: ['rows:/var/lib/postgresql/data']
    networks: [back]
    healthcheck: {test: ${postgres}/pg_isready -h 127.0.0.1 -d template1, interval: 2s, timeout: 20s, retries: 90}
  cache:
    image: ${image}
    user: redis
    command: redis-server --dir /data --appendonly yes --bind 0.0.0.0 --protected-mode no
    volumes: ['keys:/data']
    networks: [back]
    healthcheck: {test: redis-cli ping, interval: 2s, timeout: 20s, retries: 90}
  app:
    image: ${image}
    command: node /srv/app.js
    environment: {DB_PASSWORD_FILE: /run/secrets/password}
    env_file: app.env
    secrets: [password]
    networks: {back: {}, front: {aliases: [site]}}
    depends_on:
      database: {condition: service_healthy}
      cache: {condition: service_healthy}
    healthcheck: {test: 'bash -c "exec 3<>/dev/tcp/127.0.0.1/3000"', interval: 2s, timeout: 20s, retries: 90}
  web:
    image: ${image}
    command: nginx -c /srv/nginx.conf
    ports: ['127.0.0.1:${String(port)}:80']
    networks: [front]
    depends_on:
      app: {condition: service_healthy}
volumes: {rows: {}, keys: {}}
networks: {front: {}, back: {internal: true}}
secrets: {password: {file: ./password.txt}}
`;
