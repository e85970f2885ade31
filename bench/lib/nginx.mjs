/** nginx as a plain reverse proxy for MCP: one worker, connections kept, nothing buffered, all its files in its own folder. */
export const nginxConfiguration = ({ port, upstreamPort, tmp }) => `daemon off;
master_process off;
worker_processes 1;
pid ${tmp}/nginx.pid;
error_log stderr error;
events { worker_connections 16384; }
http {
  access_log off;
  client_body_temp_path ${tmp}/body;
  proxy_temp_path ${tmp}/proxy;
  fastcgi_temp_path ${tmp}/fastcgi;
  uwsgi_temp_path ${tmp}/uwsgi;
  scgi_temp_path ${tmp}/scgi;
  client_max_body_size 64m;
  client_body_buffer_size 8m;
  keepalive_requests 10000000;
  tcp_nodelay on;
  upstream server {
    server 127.0.0.1:${upstreamPort};
    keepalive 256;
    keepalive_requests 10000000;
  }
  server {
    listen 127.0.0.1:${port} backlog=8192;
    location / {
      proxy_pass http://server;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_set_header Host $host;
      proxy_buffering off;
      proxy_request_buffering off;
      proxy_read_timeout 3600s;
    }
  }
}
`
