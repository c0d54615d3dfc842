// Each status that the API documents for an operation, as dockerd answers it; test/unit/docs/statuses.test.ts says whether all
// are there.

import { statusCases } from './harness/cases';
import { containerStatuses } from './statuses/containers';
import { imageStatuses } from './statuses/images';
import { networkStatuses, systemStatuses, volumeStatuses } from './statuses/others';
import { pluginStatuses, swarmStatuses } from './statuses/swarm';

statusCases({
  ...containerStatuses,
  ...imageStatuses,
  ...networkStatuses,
  ...volumeStatuses,
  ...systemStatuses,
  ...swarmStatuses,
  ...pluginStatuses,
});
