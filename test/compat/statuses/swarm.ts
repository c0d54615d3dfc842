// Swarm and plugins: what a dockerd that is in no swarm answers, and has no plugin.

import { type StatusTable, unseen } from './steps';

const joins = unseen('It would make dockerd the manager of a swarm.');

/** Every other status is only of a member of a swarm. */
export const swarmStatuses: StatusTable = {
  NodeList: { 503: 'GET /nodes' },
  NodeInspect: { 503: 'GET /nodes/no-such' },
  NodeDelete: { 503: 'DELETE /nodes/no-such' },
  NodeUpdate: {
    400: { request: 'POST /nodes/no-such/update', body: {} },
    503: { request: 'POST /nodes/no-such/update?version=1', body: {} },
  },
  SwarmInspect: { 503: 'GET /swarm' },
  SwarmInit: { 503: joins },
  SwarmJoin: { 503: joins },
  SwarmLeave: { 503: { request: 'POST /swarm/leave', body: {} } },
  SwarmUpdate: {
    400: { request: 'POST /swarm/update', body: {} },
    503: { request: 'POST /swarm/update?version=1', body: {} },
  },
  SwarmUnlockkey: { 503: 'GET /swarm/unlockkey' },
  SwarmUnlock: { 503: { request: 'POST /swarm/unlock', body: {} } },
  ServiceList: { 503: 'GET /services' },
  ServiceCreate: {
    503: { request: 'POST /services/create', body: {} },
  },
  ServiceInspect: { 503: 'GET /services/no-such' },
  ServiceDelete: { 503: 'DELETE /services/no-such' },
  ServiceUpdate: {
    400: { request: 'POST /services/no-such/update', body: {} },
    503: { request: 'POST /services/no-such/update?version=1', body: {} },
  },
  ServiceLogs: { 500: 'GET /services/no-such/logs', 503: 'GET /services/no-such/logs?stdout=1' },
  TaskList: { 503: 'GET /tasks' },
  TaskInspect: { 503: 'GET /tasks/no-such' },
  TaskLogs: { 500: 'GET /tasks/no-such/logs', 503: 'GET /tasks/no-such/logs?stdout=1' },
  SecretList: { 503: 'GET /secrets' },
  SecretCreate: {
    503: { request: 'POST /secrets/create', body: {} },
  },
  SecretInspect: { 503: 'GET /secrets/no-such' },
  SecretDelete: { 503: 'DELETE /secrets/no-such' },
  SecretUpdate: {
    400: { request: 'POST /secrets/no-such/update', body: {} },
    503: { request: 'POST /secrets/no-such/update?version=1', body: {} },
  },
  ConfigList: { 503: 'GET /configs' },
  ConfigCreate: {
    503: { request: 'POST /configs/create', body: {} },
  },
  ConfigInspect: { 503: 'GET /configs/no-such' },
  ConfigDelete: { 503: 'DELETE /configs/no-such' },
  ConfigUpdate: {
    400: { request: 'POST /configs/no-such/update', body: {} },
    503: { request: 'POST /configs/no-such/update?version=1', body: {} },
  },
};

/** Every other status needs a plugin. */
export const pluginStatuses: StatusTable = {
  PluginList: {},
  GetPluginPrivileges: {},
  PluginPull: {},
  PluginInspect: { 404: 'GET /plugins/no-such/json' },
  PluginDelete: { 404: 'DELETE /plugins/no-such' },
  PluginEnable: {
    404: 'POST /plugins/no-such/enable?timeout=0',
    500: 'POST /plugins/no-such/enable',
  },
  PluginDisable: {
    404: { request: 'POST /plugins/no-such/disable', body: {} },
  },
  PluginUpgrade: {
    404: { request: 'POST /plugins/no-such/upgrade?remote=no-such', body: [] },
    500: { request: 'POST /plugins/no-such/upgrade', body: {} },
  },
  PluginCreate: {},
  PluginPush: {
    404: { request: 'POST /plugins/no-such/push', body: {} },
  },
  PluginSet: {
    400: { request: 'POST /plugins/no-such/set', body: {} },
    404: { request: 'POST /plugins/no-such/set', body: [] },
  },
};
