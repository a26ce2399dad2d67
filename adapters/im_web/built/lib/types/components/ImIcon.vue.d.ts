/** A small picture; it says nothing to a screen reader. */
declare const PATHS: {
    readonly back: "M15 5l-7 7 7 7";
    readonly plus: "M12 5v14M5 12h14";
    readonly search: "M11 4a7 7 0 1 0 0 14 7 7 0 0 0 0-14zM20 20l-4-4";
    readonly send: "M4 12l16-7-5.5 15-3-6.5z";
    readonly sound: "M4 10v4h4l5 4V6l-5 4zM16.5 9a4 4 0 0 1 0 6M19 6.5a8 8 0 0 1 0 11";
    readonly muted: "M4 10v4h4l5 4V6l-5 4zM17 9.5l5 5M22 9.5l-5 5";
    readonly bell: "M6 16V11a6 6 0 0 1 12 0v5l1.5 2h-15zM10 21h4";
    readonly moon: "M20 14.5A8.5 8.5 0 0 1 9.5 4a8.5 8.5 0 1 0 10.5 10.5z";
    readonly sun: "M12 8a4 4 0 1 0 0 8 4 4 0 0 0 0-8zM12 2v2.5M12 19.5V22M2 12h2.5M19.5 12H22M4.9 4.9l1.8 1.8M17.3 17.3l1.8 1.8M4.9 19.1l1.8-1.8M17.3 6.7l1.8-1.8";
    readonly exit: "M10 4H5v16h5M9 12h11M16 8l4 4-4 4";
    readonly down: "M6 9l6 6 6-6";
    readonly close: "M6 6l12 12M18 6L6 18";
    readonly sending: "M12 4a8 8 0 1 0 0 16 8 8 0 0 0 0-16zM12 8v4.2l2.6 1.8";
    readonly sent: "M5 13l4.5 4.5L19 7";
    readonly delivered: "M2 13l4.5 4.5L15 8M10.5 16l1.7 1.5L22 7";
    readonly read: "M2 13l4.5 4.5L15 8M10.5 16l1.7 1.5L22 7";
    readonly failed: "M12 4a8 8 0 1 0 0 16 8 8 0 0 0 0-16zM12 8v5M12 15.6v.4";
    readonly chat: "M4 5h16v11H9.5L5 20v-4H4z";
};
type __VLS_Props = {
    name: keyof typeof PATHS;
};
declare const __VLS_export: import("vue").DefineComponent<__VLS_Props, {}, {}, {}, {}, import("vue").ComponentOptionsMixin, import("vue").ComponentOptionsMixin, {}, string, import("vue").PublicProps, Readonly<__VLS_Props> & Readonly<{}>, {}, {}, {}, {}, string, import("vue").ComponentProvideOptions, false, {}, any>;
declare const _default: typeof __VLS_export;
export default _default;
