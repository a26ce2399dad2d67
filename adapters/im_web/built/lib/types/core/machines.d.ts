/** The state machines, as tables; drawn and described in docs/state-machines.md. */
import * as tables from '../generated/tables';
/** One machine. */
export declare class Table {
    #private;
    /** The state to start in. */
    readonly initial: string;
    /** The states that nothing leads out of. */
    readonly final: ReadonlySet<string>;
    constructor(name: string, table: tables.Table);
    /**
     * The state that `event` leads to.
     *
     * @throws LocalProtocolError - `state` doesn't know `event`; the text names both.
     */
    next(state: string, event: string): string;
    /** Whether `event` may happen in `state`. */
    knows(state: string, event: string): boolean;
}
export declare const CONNECTION: Table;
export declare const AUTH: Table;
export declare const HEARTBEAT: Table;
export declare const RECONNECT: Table;
export declare const DELIVERY: Table;
export declare const SESSION: Table;
