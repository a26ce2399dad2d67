import type { Older } from './chat/conversations';
import { type Entry, type Timeline } from './chat/timeline';
type __VLS_Props = {
    entries: Timeline;
    older: Older;
    divider: string | null;
    /** The other user's name. */
    name: string;
    unread: number;
};
type __VLS_ModelProps = {
    /** Is the newest message in view? */
    'atEnd'?: boolean;
};
type __VLS_PublicProps = __VLS_Props & __VLS_ModelProps;
declare const __VLS_export: import("vue").DefineComponent<__VLS_PublicProps, {}, {}, {}, {}, import("vue").ComponentOptionsMixin, import("vue").ComponentOptionsMixin, {
    retry: (entry: Entry) => any;
    discard: (entry: Entry) => any;
    "update:atEnd": (value: boolean) => any;
    older: () => any;
}, string, import("vue").PublicProps, Readonly<__VLS_PublicProps> & Readonly<{
    onRetry?: ((entry: Entry) => any) | undefined;
    onDiscard?: ((entry: Entry) => any) | undefined;
    "onUpdate:atEnd"?: ((value: boolean) => any) | undefined;
    onOlder?: (() => any) | undefined;
}>, {}, {}, {}, {}, string, import("vue").ComponentProvideOptions, false, {}, any>;
declare const _default: typeof __VLS_export;
export default _default;
