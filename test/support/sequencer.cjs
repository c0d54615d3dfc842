// The order of test files: those first that wait more than they work, since what is side by side with them fills the time.

const Sequencer = require('@jest/test-sequencer').default;

// one test after the other, or containers that take long to do what they are for; relative to test/
const long = [
  'compat/clients/compose-services',
  'compat/daemon/',
  'compat/clients/compose',
  'compat/containers/interactive',
  'compat/containers/health',
  'compat/networks/networks',
  'compat/volumes/volumes',
];

module.exports = class extends Sequencer {
  sort(tests) {
    const rank = ({ path }) => {
      const index = long.findIndex((part) => path.includes(`/test/${part}`));
      return index === -1 ? long.length : index;
    };
    return [...super.sort(tests)].sort((a, b) => rank(a) - rank(b));
  }
};
