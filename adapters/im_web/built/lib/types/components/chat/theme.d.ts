/** Light or dark: as the user has chosen, or as the system is. */
import { type ComputedRef, type InjectionKey } from 'vue';
export type Theme = 'light' | 'dark';
/** The present colours, and the switch. */
export interface Look {
    readonly theme: ComputedRef<Theme>;
    /** Take the other one, and keep that choice. */
    toggle(): void;
}
/** @param wish 'light' or 'dark'; all else leaves it to the user and the system. */
export declare function createLook(wish?: () => string | null | undefined): Look;
/** Where components find it. */
export declare const LOOK: InjectionKey<Look>;
export declare function useLook(): Look;
