/** Is the user looking? The page is visible and has the focus. */
import { type Ref } from 'vue';
/** @returns whether, and how to stop watching. */
export declare function watchAttention(): {
    looking: Ref<boolean>;
    stop: () => void;
};
