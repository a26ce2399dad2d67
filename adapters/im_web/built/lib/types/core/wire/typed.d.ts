/**
 * The dialect of an earlier client of the platform: `{"type", "id", "timestamp", "data": {…}}`.
 *
 * It has no msgId. A message's envelope carries our own id for it; a server that echoes the id says
 * with it which message it answers, any other answer is one to the only message in flight
 * (protocol.md section 1, "The second dialect"). Read in two passes, as Invocation is.
 */
import { type Dialect, type Incoming } from './dialect';
import { type ClientMessage } from './messages';
/** The second dialect in the field, the client's side of it. */
export declare class Typed implements Dialect {
    readonly name = "typed";
    readonly extensions = false;
    readonly inFlight = 1;
    decode(text: string): Incoming[];
    encode(message: ClientMessage, { wallMs }?: {
        wallMs?: number;
    }): string;
    /** One envelope as it is; there are never several. */
    join([envelope]: readonly string[]): string;
}
