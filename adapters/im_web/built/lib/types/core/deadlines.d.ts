/**
 * What time brings to a client: deadlines that come, clocks that jump, and what trouble leads to.
 *
 * The part of `ClientCore` between the life of its links and what comes in on them.
 */
import { Trouble } from './effects';
import { Lifecycle } from './lifecycle';
/** A lifecycle that knows what each deadline means. */
export declare class Deadlines extends Lifecycle {
    #private;
    protected onTime(wall: number | null): void;
    /**
     * Was the machine asleep, or this process stalled? Then the link is in doubt.
     *
     * Some monotonic clocks stop while a machine sleeps: the wall clock runs ahead of them. Others go
     * on: the look comes late, as after a stall.
     *
     * @param wall what the wall clock says, in seconds since 1970; null: nobody looked.
     */
    protected lookAtClocks(wall: number | null): void;
    protected probe(): void;
    protected onNetworkChanged(): void;
    protected inTrouble(trouble: Trouble | null): void;
}
