// A small web application: each GET / is counted in PostgreSQL and in Redis. GET /ready only asks both.
'use strict';
const http = require('http');
const fs = require('fs');
const { Pool } = require('pg');
const redis = require('redis');

const password = fs.readFileSync(process.env.DB_PASSWORD_FILE, 'utf8').trim();
const database = new Pool({ host: 'database', user: 'postgres', database: 'template1', password });
const cache = redis.createClient({ url: 'redis://cache:6379' });
for (const client of [database, cache]) client.on('error', (error) => console.error(error.message));
// goes on trying by itself
cache.connect();

const pages = {
  async '/'() {
    await database.query('CREATE TABLE IF NOT EXISTS visits (id serial PRIMARY KEY)');
    await database.query('INSERT INTO visits DEFAULT VALUES');
    const { rows } = await database.query('SELECT count(*) FROM visits');
    const hits = await cache.incr('hits');
    return `<h1>${process.env.TITLE}</h1> <p>${rows[0].count} in PostgreSQL, ${hits} in Redis</p>\n`;
  },
  async '/ready'() {
    await database.query('SELECT 1');
    return `${await cache.ping()}\n`;
  },
};

http
  .createServer((request, response) => {
    const page = pages[request.url] ?? pages['/ready'];
    page().then(
      (text) => response.end(text),
      (error) => response.writeHead(500).end(`${error.message}\n`),
    );
  })
  .listen(3000, () => console.log('the application listens'));
process.on('SIGTERM', () => process.exit(0));
