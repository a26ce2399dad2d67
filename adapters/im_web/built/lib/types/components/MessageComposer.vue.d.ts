type __VLS_Props = {
    name: string;
    /** The most UTF-16 units, without the space around. */
    limit: number;
    /** Why it could not even be queued. */
    error?: string | null;
};
type __VLS_ModelProps = {
    modelValue: string;
};
type __VLS_PublicProps = __VLS_Props & __VLS_ModelProps;
declare const __VLS_export: import("vue").DefineComponent<__VLS_PublicProps, {
    focus: () => void | undefined;
}, {}, {}, {}, import("vue").ComponentOptionsMixin, import("vue").ComponentOptionsMixin, {
    "update:modelValue": (value: string) => any;
    send: (content: string) => any;
    pressed: (active: boolean) => any;
}, string, import("vue").PublicProps, Readonly<__VLS_PublicProps> & Readonly<{
    "onUpdate:modelValue"?: ((value: string) => any) | undefined;
    onSend?: ((content: string) => any) | undefined;
    onPressed?: ((active: boolean) => any) | undefined;
}>, {}, {}, {}, {}, string, import("vue").ComponentProvideOptions, false, {}, any>;
declare const _default: typeof __VLS_export;
export default _default;
