"""What the demo server's programs are configured with, besides their units; shortened."""

from __future__ import annotations

from typing import Final

_SITE_PACKAGES = "/srv/cloudchat/venv/lib/python3.13/site-packages"

LINKS: Final = {
    "/etc/nginx/sites-enabled/cloudchat": "/etc/nginx/sites-available/cloudchat",
}

FILES: Final = {
    "/etc/nginx/nginx.conf": """\
user www-data;
worker_processes auto;
pid /run/nginx.pid;
error_log /var/log/nginx/error.log;
include /etc/nginx/modules-enabled/*.conf;

events {
	worker_connections 768;
	# multi_accept on;
}

http {
	sendfile on;
	tcp_nopush on;
	types_hash_max_size 2048;
	server_tokens build;

	include /etc/nginx/mime.types;
	default_type application/octet-stream;

	access_log /var/log/nginx/access.log;
	gzip on;

	include /etc/nginx/conf.d/*.conf;
	include /etc/nginx/sites-enabled/*;
}
""",
    "/etc/nginx/mime.types": """\
types {
    text/html                             html htm shtml;
    text/css                              css;
    application/javascript                js;
}
""",
    "/etc/nginx/proxy_params": """\
proxy_set_header Host $http_host;
proxy_set_header X-Real-IP $remote_addr;
proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
proxy_set_header X-Forwarded-Proto $scheme;
""",
    "/etc/nginx/sites-available/cloudchat": """\
server {
	listen 80;
	server_name chat.example.org;
	return 301 https://$host$request_uri;
}

server {
	listen 443 ssl;
	server_name chat.example.org;
	ssl_certificate /etc/letsencrypt/live/chat.example.org/fullchain.pem;
	ssl_certificate_key /etc/letsencrypt/live/chat.example.org/privkey.pem;

	location /static/ {
		alias /srv/cloudchat/static/;
		expires 7d;
	}

	location / {
		include proxy_params;
		proxy_pass http://unix:/run/cloudchat/http.sock;
	}

	# Answers come as they are written, for minutes.
	location /api/stream {
		include proxy_params;
		proxy_buffering off;
		proxy_read_timeout 300s;
		proxy_pass http://unix:/run/cloudchat/http.sock;
	}
}
""",
    "/etc/redis/redis.conf": """\
bind 127.0.0.1 -::1
protected-mode yes
port 6379
supervised auto
dir /var/lib/redis
save 3600 1 300 100 60 10000
appendonly no
""",
    f"{_SITE_PACKAGES}/gunicorn/__init__.py": "",
    f"{_SITE_PACKAGES}/gevent/__init__.py": "",
    f"{_SITE_PACKAGES}/flask/__init__.py": "",
}
