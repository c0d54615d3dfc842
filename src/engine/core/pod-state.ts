// The state machine of a Pod with a record.
//
//     (None) ──create──▶ Making ──made──▶ Created ──run──▶ Starting ──started──▶ Running
//                           │                │ ▲               │                    │
//                           │              remove └──── rest ──┴────────────────────┘
//                           └──(crash)──▶ (None)
//
// Created and Running are what a user sees: Starting is Running with not all of its containers started yet. The Pod of a
// Docker container has no record: it is Created with it, and Running while the container is.

/** Making: its containers are being made; a daemon that finds this removes them. */
export type PodPhase = 'Making' | 'Created' | 'Starting' | 'Running';
export type PodEvent = 'made' | 'run' | 'started' | 'rest';

const steps: Record<PodEvent, { from: readonly PodPhase[]; to: PodPhase }> = {
  made: { from: ['Making'], to: 'Created' },
  run: { from: ['Created'], to: 'Starting' },
  started: { from: ['Starting'], to: 'Running' },
  rest: { from: ['Starting', 'Running'], to: 'Created' },
};

/** The phase after `event`, or undefined when it is illegal in this one. */
export function nextPodPhase(phase: PodPhase, event: PodEvent): PodPhase | undefined {
  const { from, to } = steps[event];
  return from.includes(phase) ? to : undefined;
}
