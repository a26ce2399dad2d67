/** How the user hears of a message: a sound, a notification, a number in the title. */
import { type Ref } from 'vue';
/** Sound, notifications and title. */
export declare class Alerts {
    #private;
    /** Is the sound off? Kept in this browser. */
    readonly muted: Ref<boolean>;
    /** What the browser allows: 'default' was never asked; 'unsupported' can't. */
    readonly permission: Ref<NotificationPermission | 'unsupported'>;
    toggleMute(): void;
    /** Ask the browser to let us show notifications; only ever on a click. */
    ask(): Promise<void>;
    /** Two short tones, unless muted. */
    beep(): void;
    /** Show a message that has come while nobody looked. */
    notify(title: string, body: string, tag: string, onclick: () => void): void;
    stop(): void;
}
/** Put the number of unread messages before the page's title, as long as this lives. */
export declare function badgeTitle(count: () => number): () => void;
