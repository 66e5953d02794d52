// SPDX-License-Identifier: Apache-2.0
//! `docs/migrating.md` leaves nothing of libvideostream without an answer.

/// The functions of videostream.h 2.2.
const CALLS: &str = "
    vsl_version vsl_timestamp vsl_fourcc_from_string
    vsl_host_init vsl_host_release vsl_host_path vsl_host_poll vsl_host_service vsl_host_process vsl_host_sockets vsl_host_post
    vsl_host_drop
    vsl_client_init vsl_client_release vsl_client_disconnect vsl_client_userptr vsl_client_path vsl_client_set_timeout
    vsl_frame_register vsl_frame_init vsl_frame_alloc vsl_frame_unalloc vsl_frame_attach vsl_frame_path vsl_frame_unregister
    vsl_frame_copy vsl_frame_userptr vsl_frame_set_userptr vsl_frame_wait vsl_frame_release vsl_frame_trylock vsl_frame_unlock
    vsl_frame_serial vsl_frame_timestamp vsl_frame_duration vsl_frame_pts vsl_frame_dts vsl_frame_expires vsl_frame_fourcc
    vsl_frame_width vsl_frame_height vsl_frame_stride vsl_frame_size vsl_frame_handle vsl_frame_paddr vsl_frame_mmap
    vsl_frame_munmap vsl_frame_sync
    vsl_encoder_create vsl_encoder_create_ex vsl_encoder_release vsl_encode_frame vsl_encoder_new_output_frame
    vsl_decoder_create vsl_decoder_create_ex vsl_decode_frame vsl_decoder_width vsl_decoder_height vsl_decoder_crop
    vsl_decoder_release
    vsl_camera_open_device vsl_camera_init_device vsl_camera_mirror vsl_camera_mirror_v vsl_camera_start_capturing
    vsl_camera_get_data vsl_camera_release_buffer vsl_camera_stop_capturing vsl_camera_uninit_device vsl_camera_close_device
    vsl_camera_is_dmabuf_supported vsl_camera_get_queued_buf_count vsl_camera_enum_fmts vsl_camera_enum_mplane_fmts
    vsl_camera_buffer_mmap vsl_camera_buffer_dma_fd vsl_camera_buffer_phys_addr vsl_camera_buffer_length
    vsl_camera_buffer_fourcc vsl_camera_buffer_timestamp
    vsl_v4l2_enumerate vsl_v4l2_enumerate_type vsl_v4l2_device_list_free vsl_v4l2_find_encoder vsl_v4l2_find_decoder
    vsl_v4l2_find_camera vsl_v4l2_find_camera_with_resolution vsl_v4l2_device_enum_formats vsl_v4l2_enum_resolutions
    vsl_v4l2_device_supports_format vsl_v4l2_device_type_name vsl_v4l2_is_compressed_format vsl_v4l2_fourcc_to_string
    vsl_v4l2_alloc_userptr vsl_v4l2_free_userptr";

/// Options of its commands, and properties of its GStreamer elements.
const OPTIONS: &str = "
    --json -v -q -d -r --resolution --format -F --fps -e --encode -b -f --frames --metrics --metrics-interval --ipc -t --codec
    --timeout --backend --decode --all --camera --encoder --decoder --v4l2 --cameras --encoders --decoders --converters
    path=… lifespan= pool-size= timeout=… dts=… pts=… reconnect=…";

const PAGE: &str = include_str!("../../docs/migrating.md");

/// Cells of a row of a table; `|` within code is written `\|`.
fn cells(row: &str) -> Vec<String> {
    let row = row.trim().trim_start_matches('|').trim_end_matches('|').replace("\\|", "\0");
    row.split('|').map(|cell| cell.trim().to_owned()).collect()
}

#[test]
fn every_call_has_a_row() {
    let left: String =
        PAGE.lines().filter(|line| line.starts_with('|')).map(|row| cells(row)[0].clone() + "\n").collect();
    for call in CALLS.split_whitespace() {
        assert!(left.contains(&format!("`{call}`")), "{call} is missing");
    }
    for option in OPTIONS.split_whitespace() {
        assert!(left.contains(option), "{option} is missing");
    }
}

#[test]
fn no_cell_is_empty() {
    let mut columns = 0;
    for (index, line) in PAGE.lines().enumerate() {
        if !line.starts_with('|') {
            columns = 0;
            continue;
        }
        let cells = cells(line);
        columns = if columns == 0 { cells.len() } else { columns };
        assert!(cells.len() == columns && cells.iter().all(|cell| !cell.is_empty()), "line {}: {line}", index + 1);
    }
}
