/** Everything that can happen to a client's engine: `CoreInput` and what it is made of. */
export type * from '../generated/types';
