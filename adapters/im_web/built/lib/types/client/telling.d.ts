/** Which callback an event calls, and with what. */
import type { Event } from '../generated/types';
import type { Callbacks } from './callbacks';
import type { Sent } from './sent';
/** Tell the callbacks; what the client itself tells in its own way is passed over. */
export declare function tell(callbacks: Callbacks, event: Event, sent: Sent | null): void;
