/**
 * The dialect of the Invocation family: `{"type": …, "message": "<JSON in a string>"}`.
 *
 * Read in two passes: the envelopes first, then each message by its type, so that one bad or unknown
 * message never takes its neighbours along (protocol.md section 1).
 */
import { type Dialect, type Incoming } from './dialect';
import type { ClientMessage } from './messages';
/** The default dialect. */
export declare class Invocation implements Dialect {
    readonly name = "invocation";
    readonly extensions = true;
    readonly inFlight: null;
    decode(text: string, batch: number): Incoming[];
    encode(message: ClientMessage, { inline }?: {
        inline?: boolean;
    }): string;
    join(envelopes: readonly string[]): string;
}
