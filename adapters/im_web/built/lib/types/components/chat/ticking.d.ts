/** The present time, for what counts down or says "today". */
import { type Ref } from 'vue';
/** The wall clock in ms, read again every `every` ms while `active`. */
export declare function useNow(every: number, active?: () => boolean): Ref<number>;
