import type { Entry } from './chat/timeline';
type __VLS_Props = {
    entry: Entry;
    /** Who wrote it. */
    author: string;
    /** The day that begins with it. */
    day: string | null;
    divider: boolean;
    /** The first, the last of several by the same user in a short time. */
    first: boolean;
    last: boolean;
};
declare const __VLS_export: import("vue").DefineComponent<__VLS_Props, {}, {}, {}, {}, import("vue").ComponentOptionsMixin, import("vue").ComponentOptionsMixin, {
    retry: () => any;
    discard: () => any;
}, string, import("vue").PublicProps, Readonly<__VLS_Props> & Readonly<{
    onRetry?: (() => any) | undefined;
    onDiscard?: (() => any) | undefined;
}>, {}, {}, {}, {}, string, import("vue").ComponentProvideOptions, false, {}, any>;
declare const _default: typeof __VLS_export;
export default _default;
