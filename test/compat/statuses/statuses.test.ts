// Each status that the API documents for an operation, as dockerd answers it; test/unit/docs/statuses.test.ts says whether all
// are there.

import { statusCases } from '../harness/cases';
import { containerStatuses } from './containers';
import { imageStatuses } from './images';
import { networkStatuses, systemStatuses, volumeStatuses } from './others';
import { pluginStatuses, swarmStatuses } from './swarm';

statusCases({
  ...containerStatuses,
  ...imageStatuses,
  ...networkStatuses,
  ...volumeStatuses,
  ...systemStatuses,
  ...swarmStatuses,
  ...pluginStatuses,
});
