// SPDX-License-Identifier: Apache-2.0
// What a browser makes of a video: plays it to its end, then goes to each of the places (seconds) and
// looks at the picture there.

/** The next event of this name; fails if the video does. */
function next(video, name) {
    return new Promise((resolve, reject) => {
        video.addEventListener(name, resolve, { once: true });
        video.addEventListener("error", () => reject(new Error(video.error.message)), { once: true });
    });
}

/** The red primary of the picture that the video shows, as hexadecimal digits. */
function red(video) {
    const canvas = document.createElement("canvas");
    [canvas.width, canvas.height] = [video.videoWidth, video.videoHeight];
    const context = canvas.getContext("2d");
    context.drawImage(video, 0, 0);
    const { data } = context.getImageData(0, 0, canvas.width, canvas.height);
    let digits = "";
    for (let at = 0; at < data.length; at += 4) digits += data[at].toString(16).padStart(2, "0");
    return digits;
}

async function judge(url, places) {
    const video = document.createElement("video");
    video.muted = true;
    document.body.append(video);
    const loaded = next(video, "loadeddata");
    video.src = url;
    await loaded;
    const answer = { duration: video.duration, width: video.videoWidth, height: video.videoHeight };
    const ended = next(video, "ended");
    await video.play();
    await ended;
    answer.end = video.currentTime;
    const { totalVideoFrames, droppedVideoFrames, corruptedVideoFrames } = video.getVideoPlaybackQuality();
    answer.quality = { total: totalVideoFrames, dropped: droppedVideoFrames, corrupted: corruptedVideoFrames ?? 0 };
    answer.seeks = [];
    for (const place of places) {
        const seeked = next(video, "seeked");
        const shown = new Promise((resolve) => video.requestVideoFrameCallback((_, { mediaTime }) => resolve(mediaTime)));
        video.currentTime = place;
        await seeked;
        answer.seeks.push({ media: await shown, at: video.currentTime, red: red(video) });
    }
    return answer;
}
