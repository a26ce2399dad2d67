/**
 * One tab among those of a page and user. The leader has the engine, the journal and the connection;
 * the others ask it, and get a copy of what it hears.
 *
 * The connection is there as long as one tab wants it, and only a tab that wants it leads one. What a
 * tab has asked, and got no answer to, it asks the next leader again.
 *
 * A received message is handled when the leader's own callbacks have returned; a follower's get a
 * copy. A tab that becomes the leader later may get such a message again, as `redelivered`.
 */
import type { CoreInput, Event, SessionCall, SessionVO } from '../generated/types';
import type { Environment, Notice, TabRole, UserId } from '../types';
import { type Engine, type SessionParams, type View } from './engine';
import type { Keyed, Outbox } from './outbox';
import type { Sent } from './sent';
/** What one tab asks of another. */
export type Call = {
    name: 'connect';
} | {
    name: 'disconnect';
} | {
    name: 'send';
    request: Keyed;
} | {
    name: 'cancel';
    key: string;
} | {
    name: 'session';
    op: SessionCall['op'];
    params: SessionParams;
} | {
    name: 'input';
    input: CoreInput;
};
/** What a tab is for its client. */
export interface Home {
    readonly userId: UserId;
    /** Make an engine: at once, or when its storage is open. */
    start(): Engine | Promise<Engine>;
    /** The engine, this tab's or another's, tells this. */
    hear(event: Event, sent: Sent | null): void;
    /** `view.state` is another one, and no engine has said so. */
    stateChanged(): void;
    notice(notice: Notice): void;
    /** Another tab was given a new token. */
    token(token: string): void;
}
export declare class Membership {
    #private;
    readonly env: Environment;
    readonly outbox: Outbox;
    readonly home: Home;
    /** this tab's engine, if it leads */
    engine: Engine | null;
    role: TabRole;
    /** the application wants to be connected */
    wanted: boolean;
    /** of the leader, as far as it was told */
    view: View;
    readonly sessions: Map<import("../core").Id, SessionVO>;
    /**
     * @param name - of the group; null: this tab is alone.
     * @param outbox - of this tab.
     * @param first - what is known before there was an engine.
     */
    constructor(env: Environment, name: string | null, outbox: Outbox, home: Home, first: Pick<View, 'deviceId' | 'contentUnits'>);
    /** Begin. */
    start(): void;
    /** Ask whoever leads, as often as it takes. */
    ask(call: Call): Promise<unknown>;
    /** Be connected. */
    connect(): void;
    /** Be connected no more; the other tabs are as they were. */
    disconnect(): Promise<void>;
    /** The page is about to be frozen, or left: what it holds another tab may have. */
    pause(): void;
    /** It is back. */
    resume(): void;
    /** Be no member any more. */
    close(): Promise<void>;
    /** The engine of this tab tells this. */
    tell(event: Event, sent: Sent | null): void;
    /** This tab has queued a message: the others may show it. */
    queued(sent: Sent): void;
    /** This tab was given a new token: whoever leads next is to have it. */
    share(token: string): void;
}
